# Fails when a function of ours in a program has no entry in its unwind tables, from which
# `perf record --call-graph dwarf` finds the callers. cmake -DREADELF=readelf -DPROGRAM=assay -P unwind_tables.cmake
cmake_policy(VERSION 3.24)
execute_process(COMMAND ${READELF} -W --debug-dump=frames ${PROGRAM} OUTPUT_VARIABLE frames
                COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${READELF} -W --symbols ${PROGRAM} OUTPUT_VARIABLE symbols
                COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL " FDE [^\n]* pc=[0-9a-f]+" frames "${frames}")
list(TRANSFORM frames REPLACE ".* pc=" "")
# NUMBER: ADDRESS SIZE FUNC BINDING VISIBILITY SECTION NAME
string(REGEX MATCHALL "[0-9a-f]+ +[0-9]+ FUNC +[A-Z]+ +[A-Z]+ +[0-9]+ _ZN?K?5assay[^\n]*" functions "${symbols}")
list(LENGTH functions found)
foreach(function IN LISTS functions)
  string(REGEX MATCH "^[0-9a-f]+" address "${function}")
  if(NOT address IN_LIST frames)
    message(SEND_ERROR "no unwind table for ${function}")
  endif()
endforeach()
if(found EQUAL 0)
  message(FATAL_ERROR "no functions of ours in ${PROGRAM}")
endif()
message(STATUS "${found} functions with unwind tables")
