-- Gives back the n newest events that still count, in each rule.

local n = tonumber(ARGV[1])

for i = 1, #KEYS do
  local r = open(i)
  if r.bucket then
    local back = r.interval * math.min(n, r.limit)
    r.full = r.full - math.min(back, r.full - r.t)
    keep(r)
  elseif r.used > 0 then
    local stay = math.max(r.used - n, 0)
    local count = r.gone + stay
    if r.steps then
      count = r.gone
      if stay > 0 then
        count = first(r, r.gone, nil, r.before + stay - 1) + 1
        local at = HEADER + ((r.head + count - 1) % r.cap) * 8 + 4
        call('SETRANGE', r.key, at, pack(WORD, (r.base + r.before + stay) % WRAP))
      end
    end
    call('SETRANGE', r.key, 8, pack(WORD, count))
  end
end
return 0
