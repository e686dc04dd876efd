-- Tells what one instance spent and reserved of one counter, asks for a call where one is to be made, and returns what the
-- others spent and reserved. All writes say what an instance has in total: said twice, they change nothing.
--
-- KEYS: this bucket's hash, the hash of the one before, the number of resets. All are in one slot.
-- ARGV: instance, resets known, spent in this bucket, spent in the one before, reserved, asked, limit, typical estimate,
--       part of the one before that the window covers in ms, window in ms, instances alive, how long reservations and leases stay
--       in ms.
-- In a hash, field I is what instance I spent; field I:r is "amount:until:amount:until", what it has reserved, and what it holds
-- a lease for.
local id = ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local resets = tonumber(redis.call('GET', KEYS[3]) or '0')
if resets > tonumber(ARGV[2]) then
  return {-1, resets, now, 0, 0, 0, 0}
end
local function keep(key, amount)
  if amount == '0' then return end
  local had = redis.call('HGET', key, id)
  if not had or tonumber(had) < tonumber(amount) then redis.call('HSET', key, id, amount) end
end
keep(KEYS[1], ARGV[3])
keep(KEYS[2], ARGV[4])
local stay = tonumber(ARGV[12])
local function others(key)
  local spent, promised = 0, 0
  local all = redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    local field, value = all[i], all[i + 1]
    local amount, till, leased, lease_till = string.match(value, '^(%d+):(%d+):(%d+):(%d+)$')
    if amount then
      till = tonumber(till)
      -- One that is too far ahead was written before the clock was set back.
      if till <= now or till > now + 2 * stay then
        redis.call('HDEL', key, field)
      elseif field ~= id .. ':r' then
        promised = promised + tonumber(amount)
        if tonumber(lease_till) > now then promised = promised + tonumber(leased) end
      end
    elseif field ~= id then
      spent = spent + tonumber(value)
    end
  end
  return spent, promised
end
local current, promised = others(KEYS[1])
local previous = others(KEYS[2])
local window = tonumber(ARGV[10])
local reserved, asked, limit = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local faded = math.ceil((previous + tonumber(ARGV[4])) * tonumber(ARGV[9]) / window)
local spent = current + tonumber(ARGV[3]) + faded
local room = limit - spent - promised - reserved
local admitted = 0
if asked > 0 and spent < limit and (room >= asked or (reserved == 0 and promised == 0)) then
  admitted = 1
  room = room - asked
  reserved = reserved + asked
end
local lease = math.floor(room / (2 * math.max(1, tonumber(ARGV[11]))))
if lease < 2 * tonumber(ARGV[8]) then lease = 0 end
if reserved + lease > 0 then
  local promise = string.format('%.0f:%.0f:%.0f:%.0f', reserved, now + stay, lease, now + tonumber(ARGV[13]))
  redis.call('HSET', KEYS[1], id .. ':r', promise)
else
  redis.call('HDEL', KEYS[1], id .. ':r')
end
redis.call('PEXPIRE', KEYS[1], 2 * window)
redis.call('PEXPIRE', KEYS[2], 2 * window)
return {admitted, resets, now, current, previous, promised, lease}
