-- Puts a group of deliveries into the journal and the queue, all of them or none.
--
-- KEYS: journal, pending, the queue's list, the queue's messages, the bell, the sender's last put
-- ARGV: group number, seconds to remember it, rings to keep, first half of each message,
--       then per delivery: event id, environment, endpoint, event key, received at, body, second half
-- Returns one character a delivery: '1' accepted, '0' merged with an event that waits already.

local journal, pending, queue, messages, bell, last_put =
    KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local number, remember_seconds, rings_kept, first_half = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local FIRST, WIDTH = 5, 7

-- A sender that did not get the reply sends the same group again, perhaps after a worker has taken the
-- events and removed their marks: without this they would be put a second time.
local last_number = redis.call('HGET', last_put, 'number')
if last_number == number then
    return redis.call('HGET', last_put, 'outcome')
end

local keys = {}
for i = FIRST, #ARGV, WIDTH do
    keys[#keys + 1] = ARGV[i + 3]
end
local waiting = redis.call('HMGET', pending, unpack(keys))

-- A mark counts only while its entry is in the journal: one that was left behind must not swallow events.
local function waits(entry)
    return entry and #redis.call('XRANGE', journal, entry, entry) > 0
end

local outcome, marks, bodies, ids, rings, seen = {}, {}, {}, {}, {}, {}
for n = 1, #keys do
    local key = keys[n]
    if seen[key] or waits(waiting[n]) then
        outcome[n] = '0'
    else
        local i = FIRST + (n - 1) * WIDTH
        local id = ARGV[i]
        local entry = redis.call('XADD', journal, '*', 'id', id, 'environment', ARGV[i + 1], 'endpoint',
            ARGV[i + 2], 'event_key', key, 'received_at', ARGV[i + 4], 'body', ARGV[i + 5])
        seen[key] = true
        outcome[n] = '1'
        ids[#ids + 1] = id
        rings[#rings + 1] = '1'
        marks[#marks + 1] = key
        marks[#marks + 1] = entry
        bodies[#bodies + 1] = id
        bodies[#bodies + 1] = first_half .. entry .. ARGV[i + 6]
    end
end

local told = table.concat(outcome)
if #ids > 0 then
    redis.call('HSET', pending, unpack(marks))
    redis.call('HSET', messages, unpack(bodies))
    redis.call('RPUSH', queue, unpack(ids))
    redis.call('LPUSH', bell, unpack(rings))
    redis.call('LTRIM', bell, 0, rings_kept - 1)
    redis.call('HSET', last_put, 'number', number, 'outcome', told)
    redis.call('EXPIRE', last_put, remember_seconds)
end
return told
