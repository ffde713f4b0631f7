"""The server-side steps of the protocol, each one script over keys of one slot (PROTOCOL 4.1).

They compare bytes at the header's fixed places (hotset.entry.wire) and never parse. What stands under our names and is
no entry of ours, another type included, is replaced or removed, never an error: `pcall` where a type may be wrong.
Counts stay below 2**53, so Lua's doubles hold them; a count is born as the server's time in microseconds. What cannot
be a count, or is a record of counts that have not been reached, is from no life of this count: lost, so made anew.
"""

from __future__ import annotations

from typing import Final

from hotset.stores.base import Script

# A header of `k`, or "" for whatever has none; and the little that every script asks of it. What has a header that our
# readers cannot read is named by what stands in the place of its mark, here as in `operations`.
_HEADER: Final = """
local function header(k)
  local h = redis.pcall('GETRANGE', k, 0, 101)
  if type(h) ~= 'string' or #h < 102 or string.sub(h, 1, 2) ~= 'hs' then return '' end
  return h
end
local function mark(h) return string.sub(h, 5, 12) end
local function is(h, bit_) return h ~= '' and bit.band(string.byte(h, 4), bit_) ~= 0 end
local function older(h, version)
  if h == '' or version == string.rep('\\0', 8) then return false end
  for at = 36, 29, -1 do
    local there, mine = string.byte(h, at), string.byte(version, at - 28)
    if there ~= mine then return there > mine end
  end
  return false
end
"""

# The epochs of a namespace: its generation, its count, the records of tags. A lost one is made anew, and hides.
_EPOCHS: Final = """
local function text(k)
  local v = redis.pcall('GET', k)
  if type(v) == 'table' then redis.call('UNLINK', k); return false end
  return v
end
local function record(k, seq)
  local v = text(k)
  local gone, stale = string.match(v or '', '^(%d+) (%d+)$')
  if gone and tonumber(gone) <= tonumber(seq) and tonumber(stale) <= tonumber(seq) then return v, gone end
  return false
end
local function begin(run, newborn)
  local gen, seq = text(KEYS[1]), text(KEYS[2])
  if gen and #gen ~= 8 then gen = false end
  if seq and not (string.find(seq, '^[1-9]%d*$') and tonumber(seq) < 9007199254740992) then seq = false end
  local known = redis.pcall('SADD', KEYS[3], run)
  if type(known) == 'table' then redis.call('UNLINK', KEYS[3]); known = redis.call('SADD', KEYS[3], run) end
  if known == 1 or not gen or not seq then
    gen = newborn
    redis.call('SET', KEYS[1], gen)
  end
  local now = redis.call('TIME')
  now = string.format('%.0f', now[1] * 1000000 + now[2])
  if not seq then seq = now; redis.call('SET', KEYS[2], seq) end
  return gen, seq, now
end
"""

BEGIN: Final = Script(
    "#!lua flags=allow-oom\n"
    + _EPOCHS
    + """
local gen, seq, now = begin(ARGV[1], ARGV[2])
local answer = {gen, seq, now}
for i = 4, #KEYS do
  local known = record(KEYS[i], seq)
  if not known then known = seq .. ' ' .. seq; redis.call('SET', KEYS[i], known) end
  answer[i] = known
end
return answer
"""
)
"""KEYS gen seq runs tags…, ARGV run, new generation. Returns gen, seq, time, records…"""

TAGS: Final = Script(
    "#!lua flags=allow-oom\n"
    + _EPOCHS
    + """
local gen = begin(ARGV[1], ARGV[2])
local count = string.format('%.0f', redis.call('INCR', KEYS[2]))
for i = 4, #KEYS do
  local known, gone = record(KEYS[i], count)
  if ARGV[3] == 'delete' or not known then gone = count end
  redis.call('SET', KEYS[i], gone .. ' ' .. count)
end
return {gen, count}
"""
)
"""KEYS gen seq runs tags…, ARGV run, new generation, "delete" or "expire". Returns gen, count."""

CLEAR: Final = Script(
    "#!lua flags=allow-oom\n"
    """
redis.call('SET', KEYS[1], ARGV[1])
return 1
"""
)
"""KEYS gen, ARGV new generation. A plain SET would be refused where memory is full, and an ending must not be."""

LEASE: Final = Script(
    "#!lua\n"
    + _HEADER
    + """
local seen, mode, id, gen, bytes, px = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local h = header(KEYS[1])
local hold = KEYS[3] and redis.pcall('GET', KEYS[3])
if type(hold) ~= 'string' then hold = '0' end
if mode == 'refresh' then
  if h == '' or mark(h) ~= seen then return {'changed'} end
  local side = redis.pcall('GET', KEYS[2])
  if type(side) == 'string' and string.sub(side, 9, 16) == seen then
    local left = redis.call('PTTL', KEYS[2])
    if left >= 0 then return {'busy', string.sub(side, 1, 8), left} end
  end
  redis.call('SET', KEYS[2], id .. seen, 'PX', px)
  return {'won', seen, 'string', hold}
end
local kind = h == '' and redis.call('TYPE', KEYS[1]).ok or 'string'
if h ~= '' and mark(h) ~= seen then
  if not is(h, 1) then return {'changed'} end
  local left = redis.call('PTTL', KEYS[1])
  if string.sub(h, 13, 20) == gen and left >= 0 then return {'busy', mark(h), left} end
end
redis.call('SET', KEYS[1], bytes, 'PX', px)
return {'won', id, kind, hold}
"""
)
"""KEYS k side, and the hold-off of k where any are kept; ARGV seen mark, "miss" or "refresh", my id, generation,
placeholder, lease in ms.

Returns {"won", base, the type that stood there, until when its source may lag}, {"busy", mark, ms left} or {"changed"}.
A lease without an end, which only somebody else can have made of one, is none."""

SWAP: Final = Script(
    "#!lua\n"
    + _HEADER
    + """
local h = header(KEYS[1])
if h == '' or mark(h) ~= ARGV[1] then return 0 end
if older(h, ARGV[4]) then redis.call('UNLINK', KEYS[2]); return -1 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('UNLINK', KEYS[2])
return 1
"""
)
"""KEYS k side, ARGV base mark, bytes, ms, version. Returns 1, 0 for another mark, -1 for a newer version."""

PUT: Final = Script(
    "#!lua\n"
    + _HEADER
    + """
local now = redis.call('TIME')
if now[1] * 1000000 + now[2] > tonumber(ARGV[3]) then return 'late' end
local h = header(KEYS[1])
if ARGV[5] == 'absent' then
  if h ~= '' and mark(h) ~= ARGV[6] then return 'there' end
elseif older(h, ARGV[4]) then
  return 'older'
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 'stored'
"""
)
"""KEYS k, ARGV bytes, ms, deadline in µs of the server, version, "any" or "absent", the mark judged dead.

Returns "stored", "late", "older" or "there". The deadline keeps a write whose caller gave up from rising again. What
was judged dead is older than everything."""

EXPIRE: Final = Script(
    "#!lua flags=allow-oom\n"
    + _HEADER
    + """
local h = header(KEYS[1])
if h == '' or is(h, 1) or string.byte(h, 85) % 2 == 1 or string.sub(h, 53, 60) == string.rep('\\0', 8) then
  return redis.call('UNLINK', KEYS[1])
end
local set = redis.pcall('SETRANGE', KEYS[1], 3, string.char(bit.bor(string.byte(h, 4), 2)) .. ARGV[1])
if type(set) == 'table' then return redis.call('UNLINK', KEYS[1]) end
return 1
"""
)
"""KEYS k, ARGV new mark. Ends in place what has a stale window, removes what has none, and what may not be changed in
place. Returns how many it found."""

TOUCH: Final = Script(
    "#!lua\n"
    + _HEADER
    + """
local h = header(KEYS[1])
if h == '' or mark(h) ~= ARGV[1] or is(h, 3) then return 0 end
redis.call('SETRANGE', KEYS[1], 44, ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""
)
"""KEYS k, ARGV mark, ms, soft expiry (8 bytes). Returns 1, or 0 when another mark stands there."""

EXTEND: Final = Script(
    "#!lua flags=allow-oom\n"
    + _HEADER
    + """
local h = header(KEYS[1])
if h == '' or mark(h) ~= ARGV[1] or is(h, 1) then return 0 end
redis.call('SETRANGE', KEYS[1], 3, '\\0' .. ARGV[2])
redis.call('SETRANGE', KEYS[1], 36, ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('UNLINK', KEYS[2])
return 1
"""
)
"""KEYS k side, ARGV base mark, new mark, ms, beginning and soft expiry (16 bytes). Returns 1, or 0 for another mark.

A fill with the value that stands there already, which takes no memory: it is done where none is left."""

HOLD: Final = Script(
    "#!lua flags=allow-oom\n"
    """
local now = redis.call('TIME')
local over = string.format('%.0f', now[1] * 1000000 + now[2] + ARGV[1] * 1000)
if ARGV[2] == 'ends' then return redis.call('SET', KEYS[1], over, 'PX', ARGV[1]) end
return redis.call('SET', KEYS[1], over)
"""
)
"""KEYS hold, ARGV ms, "ends" or "stays". Notes until when a source may lag behind the ending that is to follow."""

RENEW: Final = Script(
    "#!lua flags=allow-oom\n"
    + _HEADER
    + """
local h = header(KEYS[1])
if is(h, 1) and mark(h) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
local side = redis.pcall('GETRANGE', KEYS[2], 0, 7)
if side == ARGV[1] then return redis.call('PEXPIRE', KEYS[2], ARGV[2]) end
return 0
"""
)
"""KEYS k side, ARGV my id, lease in ms. Returns whether the lease is still mine."""

RELEASE: Final = Script(
    "#!lua flags=allow-oom\n"
    + _HEADER
    + """
local h = header(KEYS[1])
if is(h, 1) and mark(h) == ARGV[1] then return redis.call('UNLINK', KEYS[1]) end
local side = redis.pcall('GETRANGE', KEYS[2], 0, 7)
if side == ARGV[1] then return redis.call('UNLINK', KEYS[2]) end
return 0
"""
)
"""KEYS k side, ARGV my id. Gives the lease back: the next reader need not wait for its end."""
