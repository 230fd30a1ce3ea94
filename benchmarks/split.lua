-- wrk script: posts the lines of the file BENCH_BODIES in turn, each for another of BENCH_UNITS units in
-- the header augurium-unit; without the header where that is 0. With BENCH_VERSIONS not 0 each is for
-- another of so many versions, by its number. Prints its figures as one JSON line.

dofile(os.getenv("BENCH_FOLDER") .. "/figures.lua")

local requests, turn = {}, 0
local units, versions = tonumber(os.getenv("BENCH_UNITS")), tonumber(os.getenv("BENCH_VERSIONS"))

function init(args)
  local bodies = {}
  for line in io.lines(os.getenv("BENCH_BODIES")) do
    bodies[#bodies + 1] = line
  end
  for place = 1, math.max(units, #bodies, 1000) do
    local headers = { ["content-type"] = "application/json" }
    if units > 0 then
      headers["augurium-unit"] = "customer-" .. place % units
    end
    local path = wrk.path
    if versions > 0 then
      path = path:gsub("/infer$", "/versions/" .. math.random(versions) .. "/infer")
    end
    requests[place] = wrk.format("POST", path, headers, bodies[place % #bodies + 1])
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end
