# page.awk valkey-9.1.2.txt known-failures.txt PAGE VERDICTS: the page with new rows for the files that were judged. What stands above the
# first table stays.

function row(unit, passed, failed) { return sprintf("| %s | %d | %d | %d |", unit, baseline[unit], passed, failed) }

FNR == 1 { file++ }

file == 1 { order[++units] = $1; baseline[$1] = $2 }

file == 2 {
  if ($0 ~ /^\[/) { section = substr($0, 2, length($0) - 2); why = "" }
  else if ($0 ~ /^  /) {
    name = substr($0, 3)
    sub(/^\? /, "", name)
    if (!(section in reasons)) reasons[section] = ""
    reasons[section] = reasons[section] (why == last[section] ? "" : "\n" why "\n\n") "- " name "\n"
    last[section] = why
  }
  else if ($0 != "" && $0 !~ /^#/) why = $0
}

file == 3 {
  if ($0 ~ /^\| (unit|integration)\//) { split($0, cell, / *\| */); rows[cell[2]] = row(cell[2], cell[4], cell[5]) }
  if ($0 ~ /^## /) head_ended = 1
  if (!head_ended) head = head $0 "\n"
}

file == 4 && /^verdict / { rows[$2] = row($2, $3, $5 + $7) }

END {
  printf "%s", head
  print "## Counts\n"
  print "| file | Valkey 9.1.2 passes | passed | failed |"
  print "|---|---|---|---|"
  for (i = 1; i <= units; i++) {
    if (!(order[i] in rows)) continue
    print rows[order[i]]
    split(rows[order[i]], cell, / *\| */)
    theirs += cell[3]; passed += cell[4]; failed += cell[5]
  }
  printf "| **together** | **%d** | **%d** | **%d** |\n\n", theirs, passed, failed
  print "## What fails, and why"
  for (i = 1; i <= units; i++) {
    if (order[i] in reasons) printf "\n### %s\n%s", order[i], reasons[order[i]]
  }
}
