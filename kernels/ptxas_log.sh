#!/bin/sh
# ptxas_log.sh nvcc ... -Xptxas=-v ... -o x.o ...: runs the compiler and keeps in x.o.ptxas what ptxas
# reports of every kernel, for cuda_resources. All other output of the compiler is passed on.
for argument; do
  if [ "$previous" = -o ]; then log=$argument.ptxas; fi
  previous=$argument
done
"$@" 2>"$log.new"
status=$?
grep -Ev "^ptxas info +: (Compiling entry function|Function properties|Used |Compile time|[0-9]+ bytes gmem)|bytes stack frame" "$log.new" >&2
if [ $status -eq 0 ]; then mv "$log.new" "$log"; else rm "$log.new"; fi
exit $status
