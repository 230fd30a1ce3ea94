-- For wrk scripts: prints what was measured as one line of JSON, see `Figures` in load.py.

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  local figures = '{"answered": %d, "failed": %d, "seconds": %f, "p50_ms": %f, "p90_ms": %f, "p99_ms": %f, "p999_ms": %f}\n'
  io.write(figures:format(
    summary.requests - errors.status, failed, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(90) / 1e3,
    latency:percentile(99) / 1e3, latency:percentile(99.9) / 1e3))
end
