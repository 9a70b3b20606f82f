# Fails when an object compiled for one instruction set defines a symbol that another part of the
# program could pick up: an inline function or template compiled for AVX-512 would crash an older
# CPU (kernels/runtime/simd.h). cmake -DNM=nm -DISA=avx512 -DLIST=objects.txt -P isa_symbols.cmake
file(STRINGS ${LIST} objects)
set(found 0)
foreach(object IN LISTS objects)
  execute_process(COMMAND ${NM} -C --defined-only ${object} OUTPUT_VARIABLE symbols
                  COMMAND_ERROR_IS_FATAL ANY)
  # ADDRESS TYPE NAME: a capital type is global, u, v and w are unique and weak.
  string(REGEX MATCHALL "[0-9a-f]+ [A-Zuvw] [^\n]*" symbols "${symbols}")
  foreach(symbol IN LISTS symbols)
    # nm prints the result type of a template in front of its name.
    if(NOT symbol MATCHES "^[0-9a-f]+ [A-Z] (auto |void )?assay::cpu::${ISA}::")
      message(SEND_ERROR "${object} defines ${symbol}")
    endif()
    math(EXPR found "${found} + 1")
  endforeach()
endforeach()
if(found EQUAL 0)
  message(FATAL_ERROR "no symbols in the objects of ${ISA}")
endif()
