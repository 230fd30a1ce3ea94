-- wrk script: posts the lines of the file BENCH_BODIES in turn. BENCH_CHANGE says what is new in each
-- request: nothing; "id", which leaves the row as it was; or "row". Prints its figures as one JSON line.

dofile(os.getenv("BENCH_FOLDER") .. "/figures.lua")

local bodies, requests, turn, count, change = {}, {}, 0, 0, os.getenv("BENCH_CHANGE")
local headers = { ["content-type"] = "application/json" }

function init(args)
  math.randomseed(tonumber(os.getenv("BENCH_SEED")))
  for line in io.lines(os.getenv("BENCH_BODIES")) do
    bodies[#bodies + 1] = line
    requests[#requests + 1] = wrk.format("POST", nil, headers, line)
  end
end

function request()
  turn = turn % #bodies + 1
  count = count + 1
  if change == "id" then
    return wrk.format("POST", nil, headers, '{"id":"' .. count .. '",' .. bodies[turn]:sub(2))
  elseif change == "row" then
    local body = bodies[turn]:gsub('"data":%[[^,]+', '"data":[' .. math.random(), 1)
    return wrk.format("POST", nil, headers, body)
  end
  return requests[turn]
end
