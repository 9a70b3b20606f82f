#include "tests/apps/program.h"

namespace assay::testing {

const char* const kProgram = ASSAY_PROGRAM;

}  // namespace assay::testing
