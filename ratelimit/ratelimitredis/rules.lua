-- What a rule is, and how it is read and written.

-- word returns a number of an entry. Entries are counted from the oldest, 0.
local function word(r, i, at)
  local s = r.s
  at = HEADER + ((r.head + i) % r.cap) * r.width + at
  if at + 4 <= #s then return (unpack(WORD, s, at + 1)) end
  return (unpack(WORD, call('GETRANGE', r.key, at, at + 3)))
end

-- ticked returns the tick of an entry. None is later than r.tick, or as much
-- earlier as would make its lower half ambiguous.
local function ticked(r, i)
  local tick = r.tick
  return tick - (tick - word(r, i, 0)) % WRAP
end

local function leaves(r, i)
  return ticked(r, i) * r.unit + r.length
end

-- events returns how many there are in the entries before i.
local function events(r, i)
  if i == 0 or not r.steps then return i end
  return (word(r, i - 1, 4) - r.base) % WRAP
end

-- first returns the first entry from lo on that leaves after t, or that has
-- more than that many events before and in it. It takes few steps if that
-- is near lo.
local function first(r, lo, t, count)
  local hi, step = r.n, 1
  local m = lo
  while lo < hi do
    local before
    if t then before = leaves(r, m) <= t else before = events(r, m + 1) <= count end
    if before then lo = m + 1 else hi, step = m, 0 end
    if step > 0 and lo + step < hi then
      m, step = lo + step - 1, step * 2
    else
      m = floor((lo + hi) / 2)
    end
  end
  return lo
end

-- window reads a rule that is a window.
local function window(key, a, steps)
  -- The numbers of it that fit in few bytes are read at once.
  local s = call('GETRANGE', key, '0', '151')
  local t, cap, head, n, base, last = now, 0, 0, 0, 0, 0
  if #s >= HEADER then
    local high, low
    cap, head, n, base, high, low = unpack(HEAD, s)
    last = high * WRAP + low
    -- A clock that is behind the last event counts as being there: it belongs
    -- to a replica that took over, and must not make permits.
    if last > t then t = last end
  end
  local unit = tonumber(ARGV[a + 3])
  local r = {
    key = key, s = s, t = t, cap = cap, head = head, n = n, base = base, steps = steps, width = steps and 8 or 4,
    limit = tonumber(ARGV[a + 1]), length = tonumber(ARGV[a + 2]), unit = unit,
    -- The clock tells whole microseconds that have passed. An event is stamped
    -- with the end of the one that goes on, and of its tick. No entry is later.
    tick = ceil((t + 1) / unit),
    gone = 0, before = 0, used = 0, left = 0, wait = 0, reset = 0, shadow = false,
  }
  if n > 0 then
    if last + r.length + unit < t then
      r.gone = n -- so long ago that ticks may have come round
    elseif leaves(r, 0) <= t then
      r.gone = first(r, 1, t)
    end
    r.before = events(r, r.gone)
    r.used = events(r, n) - r.before
  end
  return r
end

-- bucket reads a rule by GCRA.
local function bucket(key, a)
  local t = (now - 1577836800000000) * 8
  local s, full = call('GET', key), t
  if s and #s == 8 then
    local high, low = unpack('>I4I4', s)
    full = high * WRAP + low
    if full < t then full = t end
  end
  return {
    key = key, t = t, full = full, bucket = true,
    limit = tonumber(ARGV[a + 1]), interval = tonumber(ARGV[a + 3]),
    left = 0, wait = 0, reset = 0, shadow = false,
  }
end

local function open(i)
  local a = 6 * i - 3
  local kind, r = ARGV[a], nil
  if kind == 'g' then r = bucket(KEYS[i], a) else r = window(KEYS[i], a, kind == 's') end
  r.shadow = ARGV[a + 5] == '1'
  return r
end

-- keep writes a bucket.
local function keep(r)
  if r.full > r.t then
    call('SET', r.key, pack('>I4I4', floor(r.full / WRAP), r.full % WRAP), 'PX', ceil((r.full - r.t) / 8000) + 1)
  else
    call('DEL', r.key)
  end
end
