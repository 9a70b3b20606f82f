#include "apps/assay/program.h"

int main(int argc, char** argv) {
  return assay::run_program(argc, argv);
}
