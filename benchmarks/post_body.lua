-- wrk script: posts the bodies of the file BENCH_BODIES in turn, each BENCH_SIZE bytes long, with the
-- headers BENCH_HEADERS ("name: value", one a line); prints its figures as one JSON line.

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

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  local figures = '{"answered": %d, "failed": %d, "seconds": %f, "p50_ms": %f, "p90_ms": %f, "p99_ms": %f, "p999_ms": %f}\n'
  io.write(figures:format(
    summary.requests - errors.status, failed, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(90) / 1e3,
    latency:percentile(99) / 1e3, latency:percentile(99.9) / 1e3))
end
