-- The rate budget of one environment, for the whole fleet: countersign/keystone/budget_rules.py inside Redis.
-- KEYS[1]  the book, a hash of whole numbers
-- ARGV[1]  "take" or "observe"; ARGV[2] a time in milliseconds for tests, else "" for the server's own
-- take:    ARGV[3] priority (0 decision, 1 fetch, 2 sweep), ARGV[4] share in thousandths
--          returns {1, window} or {0, recheck_ms, until_ms}
-- observe: ARGV[3] window, then limit, remaining, ends_in_ms, throttled_ms, each "" where not told; returns {}

local WINDOW, PROBES, PROBE_TIME, TOLERANCE = 60000, 8, 5000, 2000
local LEAST_MIX, MOST_MIX, NOT_TOLD = 150, 500, -1
local KEPT_FOR = 3600000

local DEFAULTS = {
  limit = 600, told = 0, learned = 0, others = 0, mix = 333, blocked_until = 0, window = 0, began_at = 0,
  ends_at = 0, synced_end = 0, used = 0, decided = 0, in_flight = 0, lowest = NOT_TOLD,
  seen_at = 0, taken_at = 0,
}

local floor, min, max = math.floor, math.min, math.max

local now = tonumber(ARGV[2])
if not now then
  local time = redis.call("TIME")
  now = time[1] * 1000 + floor(time[2] / 1000)
end

local book = {}
for name, default in pairs(DEFAULTS) do book[name] = default end
local stored = redis.call("HGETALL", KEYS[1])
for i = 1, #stored, 2 do book[stored[i]] = tonumber(stored[i + 1]) end

local function drawn()
  if book.lowest == NOT_TOLD then return 0 end
  return max(0, book.limit - book.lowest - book.used)
end

local function roll()
  if now < book.ends_at then return end
  if book.window > 0 then
    local others = drawn()
    if book.lowest >= 0 and book.lowest <= floor(book.limit * 5 / 100) then others = floor(others * 3 / 2) end
    book.others = min(max(others, floor(book.others * 7 / 10)), floor(book.limit / 2))
    if book.used >= 10 then
      local mix = max(floor(book.decided * 1000 / book.used), floor(book.mix * 8 / 10))
      book.mix = min(max(mix, LEAST_MIX), MOST_MIX)
    end
  end
  book.window = book.window + 1
  book.began_at, book.ends_at, book.synced_end = now, now + WINDOW, 0
  book.used, book.decided, book.in_flight = 0, 0, 0
  book.lowest = NOT_TOLD
end

-- Up to how many calls of ours this priority may add to now; up to how many at most; what it leaves.
local function part(priority, share)
  local ours = floor(book.limit * share / 1000)
  local others = max(floor(book.others * 11 / 10), drawn())
  local allow = ours
  if others > 0 then allow = min(ours, book.limit - others - floor(book.limit * 4 / 100)) end
  allow = max(allow, floor(ours / 10), 1)
  if priority == 0 then return allow, allow, 0 end
  local length = max(1, book.ends_at - book.began_at)
  local left = max(0, book.ends_at - now)
  local melting = min(1000, floor(left * 2000 / length))
  local expected = floor(allow * book.mix / 1000)
  local reserve = max(floor(allow * 3 / 100), floor(max(0, expected - book.decided) * melting / 1000))
  if priority == 2 then reserve = reserve + floor(floor((allow - expected) / 2) * melting / 1000) end
  local paced = 0
  if others > 0 then paced = floor(floor(allow * 6 / 10) * left / length) end
  return allow - reserve - paced, allow, reserve
end

local function borne(priority, reserve)
  if book.lowest == NOT_TOLD then return true end
  local guard = max(1, floor(book.limit * (priority == 0 and 1 or 3) / 100))
  return book.lowest - book.in_flight - 1 >= guard + reserve
end

local function most_in_flight()
  if book.learned == 0 or (book.told == 1 and book.synced_end == 0) then return PROBES end
  local stale = now - book.seen_at > 1000 and (book.others > 0 or drawn() > 0)
  return stale and 1 or math.huge
end

local function wait(recheck, til) return {0, max(recheck, 10), max(til, 10)} end

local function take(priority, share)
  roll()
  local left = book.ends_at - now
  if now < book.blocked_until then
    return wait(book.blocked_until - now, book.blocked_until - now)
  end
  if book.in_flight >= most_in_flight() and now - book.taken_at < PROBE_TIME then
    return wait(30, min(left, 1000))
  end
  local at_once, most, reserve = part(priority, share)
  local counted = book.used < at_once
  if counted and borne(priority, reserve) then
    book.used, book.in_flight = book.used + 1, book.in_flight + 1
    if priority == 0 then book.decided = book.decided + 1 end
    book.taken_at = now
    return {1, book.window}
  end
  if counted and book.in_flight > 0 then return wait(min(left, 100), left) end
  if at_once < most then return wait(min(left, 500), left) end
  return wait(left, left)
end

local function lower(remaining)
  if book.lowest == NOT_TOLD then return remaining end
  return min(book.lowest, remaining)
end

local function follow(window_end, remaining, current)
  if book.synced_end == 0 then
    book.synced_end, book.ends_at = window_end, window_end
    book.lowest, book.seen_at = remaining, now
  elseif window_end > book.ends_at + TOLERANCE and remaining > book.lowest then
    local counted = book.in_flight + 1
    book.ends_at = now
    roll()
    book.synced_end, book.ends_at = window_end, window_end
    book.used, book.lowest, book.seen_at = counted, remaining, now
  elseif current or math.abs(window_end - book.ends_at) <= TOLERANCE then
    if window_end < book.ends_at - TOLERANCE then
      book.ends_at = window_end
    else
      book.ends_at = max(book.ends_at, min(window_end, book.synced_end + 1000))
    end
    book.lowest, book.seen_at = lower(remaining), now
  end
end

local function observe(window, limit, remaining, ends_in, throttled)
  roll()
  local current = window == book.window
  if current and book.in_flight > 0 then book.in_flight = book.in_flight - 1 end
  book.learned = 1
  if limit then book.limit, book.told = limit, 1 end
  if ends_in and remaining then
    follow(now + ends_in, remaining, current)
  elseif remaining and current then
    book.lowest, book.seen_at = lower(remaining), now
  end
  if throttled then
    book.blocked_until = max(book.blocked_until, now + throttled)
    if not ends_in then book.ends_at = min(book.ends_at, book.blocked_until) end
  end
  return {}
end

local answer
if ARGV[1] == "take" then
  answer = take(tonumber(ARGV[3]), tonumber(ARGV[4]))
else
  answer = observe(
    tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
  )
end

local changed = {}
for name, value in pairs(book) do
  changed[#changed + 1] = name
  changed[#changed + 1] = string.format("%d", value)
end
redis.call("HSET", KEYS[1], unpack(changed))
redis.call("PEXPIRE", KEYS[1], KEPT_FOR)
return answer
