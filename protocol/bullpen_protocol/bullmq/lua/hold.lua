--[[
  Hold an active job for one attempt: bind it, renew its lock, or own it again after the lock ran out.

  The durable fence is the hash field `pb`: it survives the lock and a stall. An attempt that is not bound yet is
  held with F = T by the operator; the runner binds with F = T#<pod uid>, and from then on T opens nothing.

  KEYS[1] job hash           <prefix>:<queue>:<id>
  KEYS[2] lock               <prefix>:<queue>:<id>:lock
  KEYS[3] active list        <prefix>:<queue>:active
  KEYS[4] stalled set        <prefix>:<queue>:stalled

  ARGV[1] id of the job
  ARGV[2] T, the token of the claim
  ARGV[3] F, the fence: T itself or T#<pod uid>
  ARGV[4] lock time in milliseconds
  ARGV[5] optional: content of the hash field `bullpen.value`, kept for whoever settles the attempt

  Returns 1 held | -1 no such job | -3 not active | -6 somebody else's
]]
if redis.call("EXISTS", KEYS[1]) == 0 then
    return -1
end
local owner = redis.call("HGET", KEYS[1], "pb")
if owner ~= ARGV[2] and owner ~= ARGV[3] then
    return -6
end
local lock = redis.call("GET", KEYS[2])
if lock and lock ~= ARGV[2] and lock ~= ARGV[3] then
    return -6
end
if not redis.call("LPOS", KEYS[3], ARGV[1]) then
    return -3
end
redis.call("HSET", KEYS[1], "pb", ARGV[3])
redis.call("SET", KEYS[2], ARGV[3], "PX", ARGV[4])
redis.call("SREM", KEYS[4], ARGV[1])
if ARGV[5] then
    redis.call("HSET", KEYS[1], "bullpen.value", ARGV[5])
end
return 1
