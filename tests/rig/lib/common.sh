# shellcheck shell=bash
# Words for the person, processes by pid, and waiting for a condition.

# Talk goes to stderr: stdout is for what other programs read (`rig env`).
say() { printf 'rig: %s\n' "$*" >&2; }

die() {
  say "$@"
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# with_lock COMMAND...: one verb at a time on this machine, for all users: the ports and the bridge exist only once.
# The lock file belongs to whoever came first, and a sticky /tmp lets nobody else create it again: so it is opened for reading.
with_lock() {
  local lock=/tmp/lamplighter-rig.lock
  [ -e "$lock" ] || (umask 000 && : >"$lock") 2>/dev/null || true
  exec 9<"$lock"
  if ! flock -n 9; then
    say "another rig command is running; waiting for it"
    flock 9
  fi
  SECONDS=0
  "$@"
}

# When a process started, in clock ticks since boot: with it, a pid file cannot be taken for a later process of that number.
started_at() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  # The second field is the command's name in brackets and may hold blanks: count from behind it.
  # shellcheck disable=SC2086
  set -- ${stat##*) }
  [ "$1" != Z ] && echo "${20}"
}

note_pid() { # PART PID
  echo "$2 $(started_at "$2")" >"$RUN/pids/$1"
}

alive() { # PART
  local pid start
  read -r pid start 2>/dev/null <"$RUN/pids/$1" || return 1
  [ -n "$start" ] && [ "$(started_at "$pid")" = "$start" ]
}

# spawn PART COMMAND...: in the background, in a session of its own (closing the terminal does not end it), without the lock.
spawn() {
  local part=$1
  shift
  setsid "$@" >>"$LOGS/$part.log" 2>&1 </dev/null 9<&- &
  note_pid "$part" $!
}

# spawn_apart PART COMMAND...: in mount and PID namespaces of its own. When its first process ends, the kernel ends every
# other one in there and undoes every mount, so that nothing can be left over. That first process is the pid noted.
spawn_apart() {
  local part=$1 parent child
  shift
  setsid unshare --mount --pid --fork --kill-child --mount-proc "$@" >>"$LOGS/$part.log" 2>&1 </dev/null 9<&- &
  parent=$!
  note_pid "$part" "$parent"
  wait_for 10 has_child "$parent" || part_failed "$part" "did not start"
  child=$(tr -d ' ' <"/proc/$parent/task/$parent/children")
  note_pid "$part" "$child"
}

has_child() { [ -n "$(cat "/proc/$1/task/$1/children")" ]; }

# stop_parts PART...: by order, not by request: nothing of theirs is kept, and the API server would take its time.
stop_parts() {
  local part pid
  for part in "$@"; do
    if alive "$part"; then
      read -r pid _ <"$RUN/pids/$part"
      kill -KILL "$pid"
    fi
  done
  wait_for 10 none_alive "$@" || die "a part of the rig does not end: see $RUN/pids"
}

none_alive() {
  local part
  for part in "$@"; do
    if alive "$part"; then return 1; fi
  done
}

# wait_for SECONDS COMMAND...: tries until it succeeds or the time is over. In a subshell, so that COMMAND may `exit`.
wait_for() {
  local until=$((SECONDS + $1))
  shift
  until ("$@") >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$until" ] || return 1
    sleep 0.1
  done
}

# ready PART SECONDS COMMAND...: waits, but not for the dead: a part that ended is told at once, with the end of its log.
ready() {
  local part=$1 until=$((SECONDS + $2))
  shift 2
  until ("$@") >/dev/null 2>&1; do
    alive "$part" || part_failed "$part" "ended while it was starting"
    [ "$SECONDS" -lt "$until" ] || part_failed "$part" "is not ready in time: $*"
    sleep 0.1
  done
}

part_failed() { # PART WHAT
  local log
  say "$1 $2"
  for log in $(logs_of "$1"); do
    say "the end of $log:"
    tail -n 40 "$log" >&2 || true
  done
  exit 1
}

# The first process of the node says little itself.
logs_of() {
  if [ "$1" = node ]; then
    echo "$LOGS/containerd.log $LOGS/kubelet.log $LOGS/node.log"
  else
    echo "$LOGS/$1.log"
  fi
}

port_in_use() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

need_ports_free() {
  local port
  for port in "$API_PORT" "$ETCD_PORT" "$INGRESS_HTTPS_PORT" "$PROVIDER_PLAIN_PORT" "$PROVIDER_AUTHENTIK_PORT"; do
    if port_in_use "$port"; then die "port $port is taken: by a rig with another run folder or user, or by another program"; fi
  done
}
