-- What scripts see, and how it is kept from them.
--
-- Runs once in each new interpreter, with the functions that the server offers. It decides what is global, lets nobody change it, and
-- wraps what would lead around that. Lua 5.1 has no read-only tables, so a protected table is seen through an empty one that refuses
-- to be written to; functions that look at tables without metamethods are told where the contents are.

local native = ...
local debug_info, getlocal = debug.getinfo, debug.getlocal
local error, type, tostring, tonumber, select = error, type, tostring, tonumber, select
local next, pairs, pcall, xpcall = next, pairs, pcall, xpcall
local rawget, rawset, setmetatable, getmetatable = rawget, rawset, setmetatable, getmetatable
local loadstring, unpack, newproxy, collectgarbage = loadstring, unpack, newproxy, collectgarbage
local resume = coroutine.resume
local concat, insert = table.concat, table.insert
local byte, find, gsub, sub = string.byte, string.find, string.gsub, string.sub

-- Errors --------------------------------------------------------------------------------------------------------------------------

-- An error of the binding is an object of its own kind.
local function plain(err)
  if type(err) == 'userdata' then
    return native.seen(err) or err
  end
  return err
end

-- Protected tables ----------------------------------------------------------------------------------------------------------------

local contents = setmetatable({}, {__mode = 'k'})
local shields = setmetatable({}, {__mode = 'k'})

local function refuse()
  error('Attempt to modify a readonly table', 2)
end

-- The same for functions that would write into a table.
local function guard(t)
  if contents[t] then
    error('Attempt to modify a readonly table', 0)
  end
end

-- Complains of a first argument as Lua does, at the place of the call.
local function expect(wanted, value, name)
  if type(value) ~= wanted then
    error("bad argument #1 to '" .. name .. "' (" .. wanted .. ' expected, got ' .. type(value) .. ')', 3)
  end
end

-- Hands on what a function of Lua's own returned, and what it complains of, at the place of the call.
local function settle(name, ok, ...)
  if ok then
    return ...
  end
  error((gsub(tostring((...)), "'%?'", "'" .. name .. "'")), 3)
end

-- What getmetatable shows of a protected table.
local sealed = {}
contents[sealed] = {}
setmetatable(sealed, {__newindex = refuse, __metatable = sealed})

local function missing(_, name)
  error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
end

local function protect(t)
  local shield = shields[t]
  if shield then
    return shield, getmetatable(shield)
  end
  shield = {}
  shields[t], contents[shield] = shield, t
  for key, value in next, t do
    if type(value) == 'table' and not contents[value] then
      t[key] = protect(value)
    end
  end
  local meta = {__index = t, __newindex = refuse, __metatable = sealed}
  setmetatable(shield, meta)
  return shield, meta
end

-- Globals -------------------------------------------------------------------------------------------------------------------------

local globals = {_VERSION = _VERSION}

for _, name in next, {'assert', 'gcinfo', 'getmetatable', 'ipairs', 'rawequal', 'select', 'tonumber', 'tostring', 'type'} do
  globals[name] = _G[name]
end
for _, name in next, {'string', 'table', 'math', 'coroutine'} do
  local copy = {}
  for key, value in next, _G[name] do
    copy[key] = value
  end
  globals[name] = copy
end
globals.os = {clock = os.clock}
globals.error = error

function globals.next(t, key)
  expect('table', t, 'next')
  return next(contents[t] or t, key)
end

function globals.pairs(t)
  expect('table', t, 'pairs')
  if contents[t] then
    return globals.next, t, nil
  end
  return pairs(t)
end

function globals.rawget(t, key)
  expect('table', t, 'rawget')
  return rawget(contents[t] or t, key)
end

function globals.rawset(t, key, value)
  expect('table', t, 'rawset')
  guard(t)
  return rawset(t, key, value)
end

function globals.setmetatable(t, meta)
  expect('table', t, 'setmetatable')
  if meta ~= nil and type(meta) ~= 'table' then
    error("bad argument #2 to 'setmetatable' (nil or table expected)", 2)
  end
  guard(t)
  return setmetatable(t, meta)
end

globals.table.insert = function(t, ...)
  expect('table', t, 'insert')
  guard(t)
  if select('#', ...) > 2 or select('#', ...) == 0 then
    settle('insert', pcall(insert, t, ...))
  end
  return insert(t, ...)
end

-- How the collector works is not for a script to say: it would outlast it.
local settings = {stop = 0, restart = 0, setpause = 200, setstepmul = 200}

function globals.collectgarbage(option, value)
  return settings[option] or (settle('collectgarbage', pcall(collectgarbage, option, value)))
end

-- As many as the stack takes beside three arguments.
local MOST = 7997

-- The original one overflows for the widest ranges.
function globals.unpack(t, first, last)
  expect('table', t, 'unpack')
  if first == nil and last == nil and #t < MOST + 3 then
    return unpack(t)
  end
  first = first == nil and 1 or first
  if last == nil then
    last = #t
  end
  if (tonumber(last) or 0) - (tonumber(first) or 0) >= MOST then
    error('too many results to unpack', 2)
  end
  if not (tonumber(first) and tonumber(last)) then
    settle('unpack', pcall(unpack, t, first, last))
  end
  return unpack(t, first, last)
end

function globals.loadstring(text, name)
  text = type(text) == 'number' and tostring(text) or text
  expect('string', text, 'loadstring')
  if byte(text, 1) == 27 then
    return nil, 'binary programs are not loaded'
  end
  if #text > native.longest then
    return nil, 'chunk has too many lines'
  end
  -- A name with a zero byte in it would not be the string that the parser makes of it, and that one would be nobody's.
  name = name == nil and text or tostring(name)
  local zero = find(name, '\0', 1, true)
  if zero then
    name = sub(name, 1, zero - 1)
  end
  return loadstring(text, name)
end

function globals.load(reader, name)
  expect('function', reader, 'load')
  local parts = {}
  while true do
    local part = reader()
    if part == nil or part == '' then
      break
    end
    if type(part) ~= 'string' then
      error('reader function must return a string', 2)
    end
    parts[#parts + 1] = part
  end
  return globals.loadstring(concat(parts), name or '=(load)')
end

if native.insecure then
  globals.newproxy, globals.getfenv, globals.setfenv = newproxy, getfenv, function(f, env)
    guard(f)
    return setfenv(f, env)
  end
end

-- What catches errors must not catch that the script is to end.
local function passed(ok, ...)
  if ok then
    return ok, ...
  end
  local err = plain((...))
  if native.killed() then
    error(err, 0)
  end
  return ok, err
end

local function caught(ok, ...)
  if ok then
    return ok, ...
  end
  local _, err = passed(ok, ...)
  if type(err) == 'table' then
    local text = rawget(contents[err] or err, 'err')
    if type(text) == 'string' or type(text) == 'number' then
      err = text
    end
  end
  return ok, err
end

function globals.pcall(...)
  return caught(pcall(...))
end

function globals.xpcall(f, handler)
  return passed(xpcall(f, function(err)
    -- The handler is the script's, too: it could go on for ever in its turn.
    return native.killed() and err or handler(plain(err))
  end))
end

globals.coroutine.resume = function(...)
  return passed(resume(...))
end

-- The server's own -----------------------------------------------------------------------------------------------------------------

globals.math.random, globals.math.randomseed = native.random, native.randomseed

local server = {}
for name, value in next, native.constants do
  server[name] = value
end

for _, name in next, {'call', 'pcall', 'log', 'setresp', 'set_repl', 'sha1hex', 'acl_check_cmd', 'error_reply', 'status_reply'} do
  server[name] = native[name]
end

for name, library in next, native.libraries do
  globals[name] = library
end

local while_loading = {}
if native.functions then
  local seen = {register_function = native.register_function}
  for name, value in next, native.constants do
    if find(name, '^LOG_') or find(name, 'VERSION') or name == 'SERVER_NAME' then
      seen[name] = value
    end
  end
  seen.log = server.log
  setmetatable(seen, {__index = missing})
  while_loading.server = protect(seen)
  while_loading.redis = while_loading.server
else
  function server.breakpoint()
    return false
  end
  function server.debug() end
  function server.replicate_commands()
    return true
  end
end
setmetatable(while_loading, {__index = missing})

globals.server, globals.redis = server, server

-- Adds where the error came about: the innermost place that is the user's.
local function handler(err)
  err = plain(err)
  if type(err) ~= 'table' then
    err = {err = 'ERR ' .. tostring(err)}
  elseif contents[err] then
    err = {}
  end
  local level, info = 2, nil
  repeat
    info = debug_info(level, 'Sl')
    level = level + 1
  until not info or info.what ~= 'C' and info.what ~= 'tail' and info.source ~= '@prelude'
  if info then
    rawset(err, 'source', info.source)
    rawset(err, 'line', info.currentline)
  end
  return err
end

if not native.functions then
  globals.__server__err__handler, globals.__redis__err__handler = handler, handler
end

local environment, meta = protect(globals)
globals._G = environment
setmetatable(globals, {__index = missing})

-- Methods of strings lead to the same functions, and no further.
local strings = getmetatable('')
strings.__index = contents[globals.string]
strings.__metatable = protect({__index = globals.string})

-- Running --------------------------------------------------------------------------------------------------------------------------

return {
  handler = handler,
  loading = function(on)
    meta.__index = on and while_loading or globals
  end,
  globals = globals,
  environment = environment,
  names = native.names,
  -- For the debugger.
  server = server,
  getlocal = getlocal,
}
