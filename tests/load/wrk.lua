-- A bounded rate instead of all that the machine can do, and the counts as one line of JSON.
function delay()
  return math.random(50, 150)
end

function done(summary)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}\n',
    summary.requests, errors.connect, errors.read, errors.write, errors.status, errors.timeout
  ))
end
