-- What the scripts share: the clock, numbers in strings, and rules.
--
-- A rule that is a window is kept in a string: a header of six 32-bit numbers
-- and a ring of entries in the order of time. The header has the entries that
-- there is room for, the oldest one, how many there are, the events before it
-- (modulo 2^32), and the time of the last event, in microseconds, as two
-- numbers. An entry is the tick of an event, modulo 2^32; if the window is
-- counted in steps, that of a step, and the number of events up to the end of
-- it, counted as those in the header.
--
-- KEYS are those of the rules. ARGV is n and most, and then for each rule its
-- kind, limit, window, unit and whether it is a shadow.

local HEADER, FIRST = 24, 151 -- bytes in the header; how many are read at once, but one
local floor, max, min = math.floor, math.max, math.min

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

local function number(s, at)
  local a, b, c, d = s:byte(at, at + 3)
  return ((a * 256 + b) * 256 + c) * 256 + d
end

local function bytes(x)
  return string.char(floor(x / 16777216) % 256, floor(x / 65536) % 256, floor(x / 256) % 256, x % 256)
end

-- long is a number of 64 bits, of which a Lua number can hold 53.
local function long(x)
  return bytes(floor(x / 4294967296)) .. bytes(x % 4294967296)
end

-- below returns the first of lo to hi for which holds is false, given that it
-- is true before that one and false from there on. It finds it in few steps
-- if it is near lo.
local function below(lo, hi, holds)
  local step = 1
  while lo + step <= hi and holds(lo + step - 1) do
    lo, step = lo + step, step * 2
  end
  hi = min(lo + step - 1, hi)
  while lo < hi do
    local m = floor((lo + hi) / 2)
    if holds(m) then lo = m + 1 else hi = m end
  end
  return lo
end

-- window reads a rule that is a window. Entries are counted from the oldest, 0.
local function window(key, steps, limit, length, unit)
  local r = {key = key, steps = steps, limit = limit, length = length, unit = unit, width = steps and 8 or 4}
  local s = redis.call('GETRANGE', key, 0, FIRST)
  r.s, r.t = s, now
  r.cap, r.head, r.n, r.base = 0, 0, 0, 0
  if #s >= HEADER then
    r.cap, r.head, r.n, r.base = number(s, 1), number(s, 5), number(s, 9), number(s, 13)
    -- A clock that is behind the last event counts as being there: it belongs
    -- to a replica that took over, and must not make permits.
    r.t = max(now, number(s, 17) * 4294967296 + number(s, 21))
  end
  -- The clock tells whole microseconds that have passed. An event is stamped
  -- with the end of the one that goes on, and of its tick. No entry is later.
  r.tick = math.ceil((r.t + 1) / unit)
  local function word(i, at)
    at = HEADER + ((r.head + i) % r.cap) * r.width + at
    if at + 4 <= #s then return number(s, at + 1) end
    return number(redis.call('GETRANGE', key, at, at + 3), 1)
  end
  function r.ticked(i)
    return r.tick - (r.tick - word(i, 0)) % 4294967296
  end
  function r.leaves(i)
    return r.ticked(i) * unit + length
  end
  -- events returns how many there are in the entries up to i.
  function r.events(i)
    if i < 0 then return 0 end
    if not steps then return i + 1 end
    return (word(i, 4) - r.base) % 4294967296
  end
  r.gone = below(0, r.n, function(i) return r.leaves(i) <= r.t end)
  r.before = r.events(r.gone - 1)
  r.used = r.events(r.n - 1) - r.before
  return r
end

-- bucket reads a rule by GCRA: the time at which the bucket would be full
-- again, in eighths of a microsecond since 2020.
local function bucket(key, limit, interval)
  local r = {key = key, limit = limit, interval = interval}
  r.t = (now - 1577836800000000) * 8
  local s = redis.call('GET', key)
  r.full = r.t
  if s and #s == 8 then r.full = max(number(s, 1) * 4294967296 + number(s, 5), r.t) end
  return r
end

local function open(i)
  local a = 5 * i - 2
  local kind, limit, length, unit = ARGV[a], tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3])
  local r
  if kind == 'g' then r = bucket(KEYS[i], limit, unit) else r = window(KEYS[i], kind == 's', limit, length, unit) end
  r.shadow = ARGV[a + 4] == '1'
  return r
end

-- keep writes a bucket.
local function keep(r)
  if r.full > r.t then
    redis.call('SET', r.key, long(r.full), 'PX', math.ceil((r.full - r.t) / 8000) + 1)
  else
    redis.call('DEL', r.key)
  end
end
