-- One hash a subject, with a field for each session:
--   <bytes of token>:<bytes of before>:<replaced>:<ends>:<token><before><successor>
-- token is the one to be used next, before the one that it replaced at that time;
-- times are milliseconds of the server's clock. A session whose end has come is
-- none.
--   KEYS[1]  the hash of the subject
--   ARGV     operation, session; to rotate: from, to, live, grace, most, successor
-- Replies {outcome, successor}: the outcomes are those of package jwt; asked
-- whether a session is alive 1 says that it is.
local call = redis.call
local key, op, id = KEYS[1], ARGV[1], ARGV[2]

if op == 'revoke' then
  if id == '' then call('DEL', key) else call('HDEL', key, id) end
  return {0, ''}
end

local t = call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)

local function parse(text)
  local first, last, a, b, replaced, ends = string.find(text, '^(%d+):(%d+):(%d+):(%d+):')
  if not first then return nil end
  a, b = tonumber(a), tonumber(b)
  if tonumber(ends) <= now then return nil end
  return {
    token = string.sub(text, last + 1, last + a), before = string.sub(text, last + a + 1, last + a + b),
    replaced = tonumber(replaced), ends = tonumber(ends), successor = string.sub(text, last + a + b + 1),
  }
end

local text = call('HGET', key, id)
local s = text and parse(text) or nil
if op == 'alive' then return {s and 1 or 0, ''} end

local from, to, live, grace, most, successor = ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
local ROTATED, REPLAYED, REUSED, GONE = 1, 2, 3, 4

-- room drops the sessions that are over, and if there are too many still, the
-- one that ends first.
local function room()
  if call('HLEN', key) < most then return end
  local all = call('HGETALL', key)
  local count, soonest, at = 0, nil, nil
  for i = 1, #all, 2 do
    local other = parse(all[i + 1])
    if not other then
      call('HDEL', key, all[i])
    else
      count = count + 1
      if not at or other.ends < at then soonest, at = all[i], other.ends end
    end
  end
  if count >= most then call('HDEL', key, soonest) end
end

local function put(before, replaced)
  local head = string.format('%d:%d:%.0f:%.0f:', #to, #before, replaced, now + live)
  call('HSET', key, id, head .. to .. before .. successor)
  if call('PTTL', key) < live then call('PEXPIRE', key, live) end
  return {ROTATED, ''}
end

if from == '' then
  if s then return {GONE, ''} end
  call('HDEL', key, id)
  room()
  return put('', 0)
end
if not s then return {GONE, ''} end
if from == s.token then return put(s.token, now) end
if from == s.before and now - s.replaced <= grace then return {REPLAYED, s.successor} end
call('HDEL', key, id)
return {REUSED, ''}
