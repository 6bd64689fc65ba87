-- What all scripts begin with: the clock, and numbers in strings.
--
-- A rule that is a window is kept in a string: a header of six 32-bit numbers
-- and a ring of entries in the order of time. The header has the entries that
-- there is room for, the oldest one, how many there are, the events before it
-- (modulo 2^32), and the time of the last event, in microseconds, as two
-- numbers. An entry is the tick of an event, modulo 2^32; if the window is
-- counted in steps, that of a step, and the number of events up to the end of
-- it, counted as those in the header. A rule by GCRA is kept as one number of
-- 64 bits: the time at which its bucket would be full again, in eighths of a
-- microsecond since 2020.
--
-- KEYS are those of the rules. ARGV is n and most, and then for each rule its
-- kind, limit, window, unit, longest time to live, and whether it is a shadow.
--
-- The server runs this for each request, and is busy with nothing else. So it
-- makes few tables and closures, and is handed no number where a string will do.

local HEADER, WORD, HEAD = 24, '>I4', '>I4I4I4I4I4I4'
local WRAP = 4294967296 -- 2^32

local call = redis.call
local floor, ceil = math.floor, math.ceil

local spread, pack, unpack = unpack, nil, nil
local struct = rawget(_G, 'struct')
if struct then
  pack, unpack = struct.pack, struct.unpack
else
  -- Not every server has that library. Formats are those above.
  pack = function(_, ...)
    local out = {...}
    for i, x in ipairs(out) do
      out[i] = string.char(floor(x / 16777216) % 256, floor(x / 65536) % 256, floor(x / 256) % 256, x % 256)
    end
    return table.concat(out)
  end
  unpack = function(format, s, at)
    local out = {}
    for i = 1, (#format - 1) / 2 do
      local a, b, c, d = s:byte((at or 1) + 4 * i - 4, (at or 1) + 4 * i - 1)
      out[i] = ((a * 256 + b) * 256 + c) * 256 + d
    end
    return spread(out)
  end
end

local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2]

