-- Takes permits from all rules or none: n, and up to most if there are more.
-- Replies how many it took, and for each rule in how many microseconds the n
-- would be there (0: now, -1: never), how many are left, and in how many
-- microseconds all would be. A refusal writes nothing.

local n, most = tonumber(ARGV[1]), tonumber(ARGV[2])

-- read finds out how a rule stands.
local function read(r)
  if r.bucket then
    local level = r.full - r.t
    if r.limit > 0 then r.left = floor((r.interval * r.limit - level) / r.interval) end
    if r.left < 0 then r.left = 0 end
    r.reset = ceil(level / 8)
    if n > r.limit then r.wait = -1
    elseif n > r.left then r.wait = ceil((level + r.interval * (n - r.limit)) / 8) end
    return
  end
  local left = r.limit - r.used
  if left > 0 then r.left = left end
  if r.n > r.gone then r.reset = leaves(r, r.n - 1) - now end
  if n > r.limit then r.wait = -1
  elseif n > r.left then
    local need = n - left
    local i = r.gone + need - 1
    if r.steps then i = first(r, r.gone, nil, r.before + need - 1) end
    r.wait = leaves(r, i) - now
  end
end

-- copy returns the bytes of that many entries, from the first that has not
-- gone.
local function copy(r, count)
  local from, w = (r.head + r.gone) % r.cap, r.width
  local function range(a, b)
    if HEADER + b * w <= #r.s then return r.s:sub(HEADER + a * w + 1, HEADER + b * w) end
    return call('GETRANGE', r.key, HEADER + a * w, HEADER + b * w - 1)
  end
  if from + count <= r.cap then return range(from, from + count) end
  return range(from, r.cap) .. range(0, from + count - r.cap)
end

-- commit counts that many events, and writes the rule. ttl is the longest
-- time that it can have state by a clock that is right.
local function commit(r, got, ttl)
  r.left = r.left - got
  if r.bucket then
    r.full = r.full + r.interval * got
    r.reset = ceil((r.full - r.t) / 8)
    return keep(r)
  end
  local w, live, added, base = r.width, r.n - r.gone, got, r.base
  local entries
  if r.steps then
    base = (base + r.before) % WRAP
    if live > 0 and ticked(r, r.n - 1) == r.tick then live = live - 1 end -- the same step goes on
    entries, added = pack('>I4I4', r.tick % WRAP, (base + r.used + got) % WRAP), 1
  else
    entries = pack(WORD, r.tick % WRAP)
    if got > 1 then entries = entries:rep(got) end
  end
  r.reset = r.tick * r.unit + r.length - now
  if r.t > now then ttl = ceil(r.reset / 1000) + 1 end
  local n, cap = live + added, r.cap
  if n > cap then
    local most = r.steps and 256 or r.limit
    cap = cap < 4 and 8 or 2 * cap
    if cap > most then cap = most end
    if cap < n then cap = n end
  elseif live == 0 and cap > 8 then
    cap = n > 8 and n or 8
  end
  local high = floor(r.t / WRAP)
  if cap ~= r.cap or HEADER + cap * w <= #r.s then
    if live > 0 then entries = copy(r, live) .. entries end
    if cap > n then entries = entries .. ('\0'):rep((cap - n) * w) end
    call('SET', r.key, pack(HEAD, cap, 0, n, base, high, r.t % WRAP) .. entries, 'PX', ttl)
    return
  end
  local head = (r.head + r.gone) % cap
  local at = (head + live) % cap
  local over = at + added - cap
  if over > 0 then
    call('SETRANGE', r.key, HEADER, entries:sub(-over * w))
    entries = entries:sub(1, -over * w - 1)
  end
  call('SETRANGE', r.key, HEADER + at * w, entries)
  call('SETRANGE', r.key, '0', pack(HEAD, cap, head, n, base, high, r.t % WRAP))
  call('PEXPIRE', r.key, ttl)
end

local rules, got = {}, most
for i = 1, #KEYS do
  local r = open(i)
  read(r)
  rules[i] = r
  if not r.shadow then
    local left = r.wait == 0 and r.left or 0
    if left < got then got = left end
  end
end
if got < n then got = 0 end
local reply = {got}
for i = 1, #KEYS do
  local r = rules[i]
  if got > 0 and r.wait == 0 and r.left >= got then commit(r, got, ARGV[6 * i + 1]) end
  reply[3 * i - 1], reply[3 * i], reply[3 * i + 1] = r.wait, r.left, r.reset
end
return reply
