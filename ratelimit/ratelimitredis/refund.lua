-- Gives back the n newest events that still count, in each rule.

local n = tonumber(ARGV[1])

for i = 1, #KEYS do
  local r = open(i)
  if r.n == nil then
    r.full = r.full - min(r.interval * min(n, r.limit), r.full - r.t)
    keep(r)
  elseif r.used > 0 then
    local stay = max(r.used - n, 0)
    local count = r.gone + stay
    if r.steps then
      count = r.gone
      if stay > 0 then
        count = below(r.gone, r.n, function(j) return r.events(j) - r.before < stay end) + 1
        local at = HEADER + ((r.head + count - 1) % r.cap) * 8 + 4
        redis.call('SETRANGE', r.key, at, bytes((r.base + r.before + stay) % 4294967296))
      end
    end
    redis.call('SETRANGE', r.key, 8, bytes(count))
  end
end
return 0
