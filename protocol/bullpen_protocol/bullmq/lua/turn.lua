--[[
  Turns that all jobs of a Redis take in common: at most so many at a time, each for as long as its holder says.

  KEYS[1] zset   member: a holder's token, or "hold" while nobody may have a turn; score: until when, in ms since the epoch

  ARGV[1] take | end | hold
  take:  ARGV[2] token, ARGV[3] how many turns there are, ARGV[4] for how long at most, in ms
  end:   ARGV[2] token, ARGV[3] for how long still, in ms
  hold:  ARGV[2] for how long, in ms; never shorter than before

  Returns 0 done, the turn is taken | for how many ms to wait. A repeated take of one token takes one turn.
]]
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", now)
if ARGV[1] == "take" and not redis.call("ZSCORE", KEYS[1], ARGV[2]) then
    local held = redis.call("ZSCORE", KEYS[1], "hold")
    if held then
        return math.max(1, held - now)
    end
    if redis.call("ZCARD", KEYS[1]) >= tonumber(ARGV[3]) then
        return math.max(1, redis.call("ZRANGE", KEYS[1], 0, 0, "WITHSCORES")[2] - now)
    end
    redis.call("ZADD", KEYS[1], now + ARGV[4], ARGV[2])
elseif ARGV[1] == "end" then
    redis.call("ZADD", KEYS[1], now + ARGV[3], ARGV[2])
elseif ARGV[1] == "hold" then
    redis.call("ZADD", KEYS[1], math.max(now + ARGV[2], redis.call("ZSCORE", KEYS[1], "hold") or 0), "hold")
end
redis.call("PEXPIRE", KEYS[1], 600000)
return 0
