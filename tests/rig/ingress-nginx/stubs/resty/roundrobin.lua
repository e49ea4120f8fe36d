-- Plain weighted round robin, with what balancer/round_robin.lua calls.
local RoundRobin = {}
RoundRobin.__index = RoundRobin

local function load(self, nodes)
  local turns = {}
  for id, weight in pairs(nodes) do
    for _ = 1, math.max(1, tonumber(weight) or 1) do turns[#turns + 1] = id end
  end
  table.sort(turns)
  self.nodes, self.turns = nodes, turns
  self.last = #turns > 0 and math.random(#turns) or 0
end

function RoundRobin.new(_, nodes)
  local self = setmetatable({}, RoundRobin)
  load(self, nodes)
  return self
end

function RoundRobin.reinit(self, nodes) load(self, nodes) end

function RoundRobin.find(self)
  if #self.turns == 0 then return nil end
  self.last = self.last % #self.turns + 1
  return self.turns[self.last]
end

return RoundRobin
