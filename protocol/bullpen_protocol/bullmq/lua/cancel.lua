--[[
  Ask for the end of a job, in one step with the look at where it is: a claim in between must not be missed.

  An active attempt of Bullpen's is marked for its operator, which ends it. A job that is not active yet is marked with
  BullMQ's own field for failures that were decided before the claim: whoever claims it fails it at once.

  KEYS[1] job hash           <prefix>:<queue>:<id>
  KEYS[2] lock               <prefix>:<queue>:<id>:lock
  KEYS[3] active list        <prefix>:<queue>:active
  KEYS[4] wait list          <prefix>:<queue>:wait
  KEYS[5] paused list        <prefix>:<queue>:paused
  KEYS[6] prioritized zset   <prefix>:<queue>:prioritized
  KEYS[7] delayed zset       <prefix>:<queue>:delayed

  ARGV[1] id of the job
  ARGV[2] name of the field that marks an attempt
  ARGV[3] reason that a job not yet active fails with

  Returns 1 its attempt is marked | 2 it fails when it is claimed | -1 no such job | -3 neither active nor waiting |
  -6 active, but not Bullpen's
]]
if redis.call("EXISTS", KEYS[1]) == 0 then
    return -1
end
if redis.call("LPOS", KEYS[3], ARGV[1]) then
    local owner = redis.call("HGET", KEYS[1], "pb") or ""
    local token = string.match(owner, "^(bullpen/[^#]*)")
    local lock = redis.call("GET", KEYS[2])
    if not token or (lock and lock ~= owner and lock ~= token) then
        return -6
    end
    redis.call("HSET", KEYS[1], ARGV[2], token)
    return 1
end
if redis.call("ZSCORE", KEYS[6], ARGV[1]) or redis.call("ZSCORE", KEYS[7], ARGV[1])
    or redis.call("LPOS", KEYS[4], ARGV[1]) or redis.call("LPOS", KEYS[5], ARGV[1]) then
    redis.call("HSET", KEYS[1], "defa", ARGV[3])
    return 2
end
return -3
