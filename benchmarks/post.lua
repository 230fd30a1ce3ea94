-- wrk script: posts the lines of the file BENCH_BODIES in turn; prints its figures as one JSON line.

dofile(os.getenv("BENCH_FOLDER") .. "/figures.lua")

local requests, turn = {}, 0

function init(args)
  local headers = { ["content-type"] = "application/json" }
  for line in io.lines(os.getenv("BENCH_BODIES")) do
    requests[#requests + 1] = wrk.format("POST", nil, headers, line)
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end
