-- wrk script: asks the models BENCH_FIRST to BENCH_LAST, each as often as a law of Zipf with exponent 1
-- says; prints its figures as one JSON line.

dofile(os.getenv("BENCH_FOLDER") .. "/figures.lua")

local first, last = tonumber(os.getenv("BENCH_FIRST")), tonumber(os.getenv("BENCH_LAST"))
local body = '{"inputs":[{"name":"things","shape":[1,4],"datatype":"INT64","data":[1,2,3,4]}]}'
local requests = {}

function init(args)
  math.randomseed(7)
  local headers = { ["content-type"] = "application/json" }
  for number = first, last do
    local path = string.format("/v2/models/ranker-%04d/infer", number)
    requests[#requests + 1] = wrk.format("POST", path, headers, body)
  end
end

function request()
  -- the inverse of the integral of 1/x: close enough to the sum
  return requests[math.min(#requests, math.floor((#requests + 1) ^ math.random()))]
end
