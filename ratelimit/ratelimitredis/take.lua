-- Takes permits from all rules or none: n, and up to most if there are more.
-- Replies how many it took, and for each rule in how many microseconds the n
-- would be there (0: now, -1: never), how many are left, and in how many
-- microseconds all would be. A refusal writes nothing.

local n, most = tonumber(ARGV[1]), tonumber(ARGV[2])

local function read(r)
  if r.n == nil then
    local reset = r.full - r.t
    r.left = r.limit > 0 and max(floor((r.interval * r.limit - reset) / r.interval), 0) or 0
    r.reset = math.ceil(reset / 8)
    if n > r.limit then r.wait = -1
    elseif n <= r.left then r.wait = 0
    else r.wait = math.ceil((reset + r.interval * (n - r.limit)) / 8) end
    return
  end
  r.left = max(r.limit - r.used, 0)
  r.reset = r.n > r.gone and r.leaves(r.n - 1) - now or 0
  local need = r.used + n - r.limit
  if n > r.limit then r.wait = -1
  elseif need <= 0 or n == 0 then r.wait = 0
  else
    local i = r.gone + need - 1
    if r.steps then i = below(r.gone, r.n, function(j) return r.events(j) - r.before < need end) end
    r.wait = r.leaves(i) - now
  end
end

-- copy returns the bytes of some entries from the first that has not gone.
local function copy(r, count)
  if count == 0 then return '' end
  local from, w = (r.head + r.gone) % r.cap, r.width
  local function range(a, b)
    if HEADER + b * w <= #r.s then return r.s:sub(HEADER + a * w + 1, HEADER + b * w) end
    return redis.call('GETRANGE', r.key, HEADER + a * w, HEADER + b * w - 1)
  end
  if from + count <= r.cap then return range(from, from + count) end
  return range(from, r.cap) .. range(0, from + count - r.cap)
end

local function commit(r, got)
  r.left = r.left - got
  if r.n == nil then
    r.full = r.full + r.interval * got
    r.reset = math.ceil((r.full - r.t) / 8)
    return keep(r)
  end
  local live, added, base = r.n - r.gone, got, (r.base + r.before) % 4294967296
  local entries = bytes(r.tick % 4294967296)
  if r.steps then
    if live > 0 and r.ticked(r.n - 1) == r.tick then live = live - 1 end -- the same step goes on
    entries, added = entries .. bytes((base + r.used + got) % 4294967296), 1
  else
    entries = entries:rep(got)
  end
  local leaves = r.tick * r.unit + r.length
  local ttl = math.ceil((leaves - now) / 1000) + 1
  r.reset = leaves - now
  local n, cap = live + added, r.cap
  if n > cap then
    cap = max(n, min(max(8, 2 * cap), r.steps and 256 or r.limit))
  elseif live == 0 then
    cap = min(cap, max(8, n))
  end
  local function header(head)
    return bytes(cap) .. bytes(head) .. bytes(n) .. bytes(base) .. long(r.t)
  end
  local w = r.width
  if cap ~= r.cap or HEADER + cap * w <= #r.s then
    local rest = ('\0'):rep((cap - n) * w)
    redis.call('SET', r.key, header(0) .. copy(r, live) .. entries .. rest, 'PX', ttl)
    return
  end
  local head = (r.head + r.gone) % cap
  local at = (head + live) % cap
  local fits = min(added, cap - at)
  redis.call('SETRANGE', r.key, HEADER + at * w, entries:sub(1, fits * w))
  if fits < added then redis.call('SETRANGE', r.key, HEADER, entries:sub(fits * w + 1)) end
  redis.call('SETRANGE', r.key, 0, header(head))
  redis.call('PEXPIRE', r.key, ttl)
end

local rules, got = {}, most
for i = 1, #KEYS do
  local r = open(i)
  read(r)
  rules[i] = r
  if not r.shadow then got = min(got, r.wait == 0 and r.left or 0) end
end
if got < n then got = 0 end
local reply = {got}
for i = 1, #KEYS do
  local r = rules[i]
  if got > 0 and r.wait == 0 and r.left >= got then commit(r, got) end
  reply[#reply + 1] = r.wait
  reply[#reply + 1] = r.left
  reply[#reply + 1] = r.reset
end
return reply
