# judge.awk -v unit=UNIT known-failures.txt LOG: a line "verdict UNIT N passed N failed N known", then what is wrong, a line each.
#
# A test that runs several times in a file counts each time. A listed test that passes fails once; it is not counted as passed.

# The name of a test in a line of the runner's.
function name_of(line) {
  sub(/^\[[a-z]+\]: /, "", line)
  sub(/ \([0-9]+ ms\)$/, "", line)
  sub(/ in tests\/[^ ]*\.tcl$/, "", line)
  if (line ~ /^Can't start /) return "Can't start the server"
  return line
}

NR == FNR {
  if ($0 ~ /^\[/) { section = substr($0, 2, length($0) - 2); next }
  if (section != unit || $0 !~ /^  /) next
  name = substr($0, 3)
  if (sub(/^\? /, "", name)) sometimes[name] = 1
  listed[name] = 1
  next
}

/^\[ok\]: / { oks[name_of($0)]++ }
/^\[TIMEOUT\]: / { stuck = 1 }
/^\[(err|exception)\]: / { errs[name_of($0)]++ }
/Test Summary: / { ended = 1 }

END {
  # A test that hangs ends the file, with a summary all the same.
  if (stuck) ended = 0
  if (!ended) errs["(the file does not end)"]++
  for (name in oks) {
    if (!(name in listed)) passed += oks[name]
    else if (name in errs || name in sometimes) passed += oks[name]
    else { failed++; wrong[++wrongs] = "  passes, and is listed as a known failure: " name }
  }
  for (name in errs) {
    if (name in listed) known += errs[name]
    else { failed += errs[name]; wrong[++wrongs] = "  FAILED: " name }
  }
  # What comes after the end of a file is not known.
  for (name in listed) {
    if (!(name in oks) && !(name in errs) && !(name in sometimes) && ended) {
      failed++
      wrong[++wrongs] = "  does not occur, and is listed as a known failure: " name
    }
  }
  printf "verdict %s %d passed %d failed %d known\n", unit, passed, failed, known
  for (i = 1; i <= wrongs; i++) print wrong[i]
}
