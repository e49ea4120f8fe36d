return { new = function() error("resty.chash is a stub here: no upstream-hash-by, no sticky sessions") end }
