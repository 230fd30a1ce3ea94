-- wrk script: posts the bodies of the file BENCH_BODIES in turn, each BENCH_SIZE bytes long, with the
-- headers BENCH_HEADERS ("name: value", one a line); prints its figures as one JSON line.

dofile(os.getenv("BENCH_FOLDER") .. "/figures.lua")

local requests, turn = {}, 0

function init(args)
  local headers = {}
  for name, value in os.getenv("BENCH_HEADERS"):gmatch("([^:\n]+): ([^\n]+)") do
    headers[name] = value
  end
  local file, size = io.open(os.getenv("BENCH_BODIES"), "rb"), tonumber(os.getenv("BENCH_SIZE"))
  local body = file:read(size)
  while body do
    requests[#requests + 1] = wrk.format("POST", nil, headers, body)
    body = file:read(size)
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end
