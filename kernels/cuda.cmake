# How the *.cu files are built. ASSAY_CUDA is one of
#   OFF             not at all
#   ON              nvcc, for real devices
#   EMULATED        the C++ compiler, with kernels/emulator as the device; needs no toolkit
#   EMULATED_CHECK  EMULATED, with every access of a kernel checked
# Included by the root, because a language must be enabled above all folders that use it.
set(ASSAY_CUDA OFF CACHE STRING "Build the CUDA kernels: OFF, ON, EMULATED or EMULATED_CHECK")
set_property(CACHE ASSAY_CUDA PROPERTY STRINGS OFF ON EMULATED EMULATED_CHECK)
if(NOT ASSAY_CUDA MATCHES "^(OFF|ON|EMULATED|EMULATED_CHECK)$")
  message(FATAL_ERROR "ASSAY_CUDA=${ASSAY_CUDA} is none of OFF, ON, EMULATED, EMULATED_CHECK")
endif()

if(ASSAY_CUDA STREQUAL ON)
  if(NOT CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES "80;86;89;90a" CACHE STRING "GPU architectures to build for")
  endif()
  find_program(CMAKE_CUDA_COMPILER nvcc HINTS /usr/local/cuda/bin)
  enable_language(CUDA)
  find_package(CUDAToolkit REQUIRED)
elseif(ASSAY_SANITIZE MATCHES thread AND ASSAY_CUDA MATCHES EMULATED)
  message(FATAL_ERROR "ThreadSanitizer cannot follow the emulator's fibers; "
                      "set ASSAY_SANITIZE or ASSAY_CUDA to something else")
endif()

# assay_cuda_flags(target): the flags of a target made of *.cu files.
function(assay_cuda_flags target)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_definitions(${target} PRIVATE ASSAY_HAVE_CUDA=1)
  if(ASSAY_CUDA STREQUAL ON)
    set_target_properties(${target} PROPERTIES CUDA_STANDARD 20 CUDA_STANDARD_REQUIRED OFF)
    if(CMAKE_VERSION VERSION_LESS 3.26)  # older CMake does not know that nvcc has C++20
      target_compile_options(${target} PRIVATE -std=c++20)
    endif()
    target_compile_options(${target} PRIVATE -Xcompiler=-Wall,-Wextra
      $<$<BOOL:${ASSAY_WARNINGS_AS_ERRORS}>:--Werror=all-warnings> $<$<BOOL:${ASSAY_WARNINGS_AS_ERRORS}>:-Xcompiler=-Werror>)
    target_link_libraries(${target} PRIVATE CUDA::cudart_static)
    return()
  endif()
  # x86-64-v3 has the multiply-add that kernels count on; without it fmaf() is a call.
  target_compile_options(${target} PRIVATE ${ASSAY_WARNINGS} -Wno-unknown-pragmas
    -Wno-psabi -ffp-contract=fast -fno-math-errno
    $<$<STREQUAL:${CMAKE_SYSTEM_PROCESSOR},x86_64>:-march=x86-64-v3>)
  if(ASSAY_CUDA STREQUAL EMULATED_CHECK)
    # Linked with kernels/emulator/tsan_callbacks.cpp, not with the sanitizer's library.
    target_compile_options(${target} PRIVATE -O1 -g -fsanitize=thread
      -fsanitize=bounds,shift,signed-integer-overflow -fsanitize-undefined-trap-on-error)
  else()
    target_compile_options(${target} PRIVATE -O2)
  endif()
endfunction()

# assay_cuda_objects(name x.cu ...): an object library of kernels outside of assay_kernels.
function(assay_cuda_objects name)
  add_library(${name} OBJECT ${ARGN})
  assay_cuda_flags(${name})
  if(NOT ASSAY_CUDA STREQUAL ON)
    set_source_files_properties(${ARGN} PROPERTIES LANGUAGE CXX)
  endif()
endfunction()

# assay_cuda_sources(x.cu ...): kernels of a family; ignored if ASSAY_CUDA is OFF.
function(assay_cuda_sources)
  if(ASSAY_CUDA STREQUAL OFF)
    return()
  endif()
  foreach(file IN LISTS ARGN)
    set(path ${CMAKE_CURRENT_SOURCE_DIR}/${file})
    target_sources(assay_kernels_cuda PRIVATE ${path})
    if(NOT ASSAY_CUDA STREQUAL ON)
      set_source_files_properties(${path} TARGET_DIRECTORY assay_kernels_cuda
                                  PROPERTIES LANGUAGE CXX)
    endif()
  endforeach()
endfunction()

# assay_hopper_sources(x.cu ...): kernels of a family that only sm_90a runs.
function(assay_hopper_sources)
  if(NOT ASSAY_CUDA STREQUAL ON)
    assay_cuda_sources(${ARGN})
    return()
  endif()
  foreach(file IN LISTS ARGN)
    target_sources(assay_kernels_hopper PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/${file})
  endforeach()
endfunction()

# assay_cuda_backend(): adds the CUDA backend of this build to assay_kernels. Called once, after the library.
function(assay_cuda_backend)
  if(ASSAY_CUDA STREQUAL OFF)
    return()
  endif()
  target_compile_definitions(assay_kernels PRIVATE ASSAY_HAVE_CUDA=1)
  add_library(assay_kernels_cuda OBJECT)
  assay_cuda_flags(assay_kernels_cuda)
  target_sources(assay_kernels PRIVATE $<TARGET_OBJECTS:assay_kernels_cuda>)
  if(ASSAY_CUDA STREQUAL ON)
    target_link_libraries(assay_kernels PRIVATE CUDA::cudart_static)
    add_library(assay_kernels_hopper OBJECT)
    assay_cuda_flags(assay_kernels_hopper)
    set_target_properties(assay_kernels_hopper PROPERTIES CUDA_ARCHITECTURES 90a)
    target_sources(assay_kernels PRIVATE $<TARGET_OBJECTS:assay_kernels_hopper>)
    target_compile_options(assay_kernels_cuda PRIVATE -Xptxas=-v)
    set_target_properties(assay_kernels_cuda PROPERTIES
      CUDA_COMPILER_LAUNCHER ${PROJECT_SOURCE_DIR}/kernels/ptxas_log.sh)
    list(GET CMAKE_CUDA_ARCHITECTURES 0 architecture)
    add_custom_target(cuda_resources
      COMMAND ${CMAKE_COMMAND} -DARCH=${architecture}
              -DOUTPUT=${PROJECT_BINARY_DIR}/cuda_resources.txt
              "-DOBJECTS=$<TARGET_OBJECTS:assay_kernels_cuda>"
              -P ${PROJECT_SOURCE_DIR}/kernels/cuda_resources.cmake
      VERBATIM)
    add_dependencies(cuda_resources assay_kernels_cuda)
    # The kernels that multiply, for an H100: `./run check sm_90a` reads their machine code.
    set(products kde/kde_product.cu local_density/local_density_product.cu)
    foreach(version naive tiled hoisted pipelined tensor_core)
      list(APPEND products conv2d/cuda/${version}.cu gemm/cuda/${version}.cu)
    endforeach()
    list(APPEND products conv2d/cuda/hopper.cu gemm/cuda/hopper.cu)
    assay_cuda_objects(assay_kernels_sm90a ${products})
    set_target_properties(assay_kernels_sm90a PROPERTIES CUDA_ARCHITECTURES 90a EXCLUDE_FROM_ALL ON)
  else()
    add_subdirectory(${PROJECT_SOURCE_DIR}/kernels/emulator)
  endif()
  add_subdirectory(${PROJECT_SOURCE_DIR}/kernels/runtime/cuda)
endfunction()
