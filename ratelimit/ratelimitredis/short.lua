-- The shortest way for the most frequent request: one permit of one rule, an
-- exact window. Whatever is not so simple goes on below, where nothing has been
-- done yet.

if #KEYS == 1 and ARGV[3] == 'w' and ARGV[1] == '1' and ARGV[2] == '1' then
  local key, limit, length, unit = KEYS[1], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
  local s = call('GETRANGE', key, '0', '151')
  local tick, high = ceil((now + 1) / unit), floor(now / WRAP)
  local cap, head, n, base, since = 0, 0, 0, 0, 0
  if #s >= HEADER then
    local lasthigh, lastlow
    cap, head, n, base, lasthigh, lastlow = unpack(HEAD, s)
    since = now - lasthigh * WRAP - lastlow
  end
  if s == '' and limit > 0 then
    cap = limit < 8 and limit or 8
    local rest = ('\0'):rep(4 * cap - 4)
    call('SET', key, pack('>I4I4I4I4I4I4I4', cap, 0, 1, 0, high, now % WRAP, tick % WRAP) .. rest, 'PX', ARGV[7])
    return {1, 0, limit - 1, tick * unit + length - now}
  elseif n > 0 and n <= limit and since >= 0 and since < length then
    local function leaves(i)
      local at = HEADER + (head + i) % cap * 4
      local stamp = at + 4 <= #s and unpack(WORD, s, at + 1) or unpack(WORD, call('GETRANGE', key, at, at + 3))
      return (tick - (tick - stamp) % WRAP) * unit + length
    end
    local oldest, gone = leaves(0), 0
    while oldest <= now and gone < 4 and gone + 1 < n do
      gone = gone + 1
      oldest = leaves(gone)
    end
    local used = n - gone
    if oldest <= now then -- there are more of them, or no others
    elseif used >= limit then
      return {0, oldest - now, 0, leaves(n - 1) - now}
    elseif used < cap then
      local at = HEADER + (head + n) % cap * 4
      local header = pack(HEAD, cap, (head + gone) % cap, used + 1, base, high, now % WRAP)
      if HEADER + 4 * cap == #s then
        call('SET', key, header .. s:sub(HEADER + 1, at) .. pack(WORD, tick % WRAP) .. s:sub(at + 5), 'PX', ARGV[7])
      else
        call('SETRANGE', key, at, pack(WORD, tick % WRAP))
        call('SETRANGE', key, '0', header)
        call('PEXPIRE', key, ARGV[7])
      end
      return {1, 0, limit - used - 1, tick * unit + length - now}
    end
  end
end

