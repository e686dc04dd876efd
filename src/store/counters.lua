-- Tells what one instance spent and reserved of one counter, asks for a call where one is to be made, and returns what the
-- others spent and reserved. All writes say what an instance has in total: said twice, they change nothing.
--
-- KEYS: this bucket's hash, the hash of the one before, the number of resets. All are in one slot.
-- ARGV: instance, resets known, spent in this bucket, spent in the one before, reserved, asked, limit, typical estimate,
--       part of the one before that the window covers in ms, window in ms, instances alive, how long reservations and leases stay,
--       and the hash is kept, in ms.
-- In a hash, field I is what instance I spent; field I:r is "amount:until:amount:until", what it has reserved, and what it holds
-- a lease for.
--
-- It runs for each counter that is spent from, many times a second: each command that it does not give counts.
local id, promise_id = ARGV[1], ARGV[1] .. ':r'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local resets = tonumber(redis.call('GET', KEYS[3]) or '0')
if resets > tonumber(ARGV[2]) then
  return {-1, resets, 0, 0, 0, 0}
end
local stay = tonumber(ARGV[12])
-- What the others spent and promised, what this instance is known to have spent, and whether it had promised something.
local function read(key)
  local spent, promised, own, is_promised = 0, 0, nil, false
  local all = redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    local field, value = all[i], all[i + 1]
    if field == id then
      own = tonumber(value)
    elseif field == promise_id then
      is_promised = true
    else
      local amount, till, leased, lease_till = string.match(value, '^(%d+):(%d+):(%d+):(%d+)$')
      if amount then
        till = tonumber(till)
        -- One that is too far ahead was written before the clock was set back.
        if till <= now or till > now + 2 * stay then
          redis.call('HDEL', key, field)
        else
          promised = promised + tonumber(amount)
          if tonumber(lease_till) > now then promised = promised + tonumber(leased) end
        end
      else
        spent = spent + tonumber(value)
      end
    end
  end
  return spent, promised, own, is_promised
end
local current, promised, own, is_promised = read(KEYS[1])
local previous, _, own_previous = read(KEYS[2])
local window = tonumber(ARGV[10])
local told, told_previous = tonumber(ARGV[3]), tonumber(ARGV[4])
local reserved, asked, limit = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local faded = math.ceil((previous + told_previous) * tonumber(ARGV[9]) / window)
local spent = current + told + faded
local room = limit - spent - promised - reserved
local admitted = 0
if asked > 0 and spent < limit and (room >= asked or (reserved == 0 and promised == 0)) then
  admitted = 1
  room = room - asked
  reserved = reserved + asked
end
local lease = math.floor(room / (2 * math.max(1, tonumber(ARGV[11]))))
if lease < 2 * tonumber(ARGV[8]) then lease = 0 end
local written = {}
if told > (own or -1) then
  written[1], written[2] = id, ARGV[3]
end
if reserved + lease > 0 then
  written[#written + 1] = promise_id
  written[#written + 1] =
    string.format('%.0f:%.0f:%.0f:%.0f', reserved, now + stay, lease, now + tonumber(ARGV[13]))
elseif is_promised then
  redis.call('HDEL', KEYS[1], promise_id)
end
if #written > 0 then
  redis.call('HSET', KEYS[1], unpack(written))
  if not own and not is_promised then redis.call('PEXPIRE', KEYS[1], ARGV[14]) end
end
if told_previous > (own_previous or 0) then
  redis.call('HSET', KEYS[2], id, ARGV[4])
  if not own_previous then redis.call('PEXPIRE', KEYS[2], ARGV[14]) end
end
return {admitted, resets, current, previous, promised, lease}
