#include "tests/apps/program.h"

namespace assay::testing {

const char* const kProgram = ASSAY_PROGRAM;
extern const char* const kFaults;
const char* const kFaults = ASSAY_FAULTS_LIBRARY;

}  // namespace assay::testing
