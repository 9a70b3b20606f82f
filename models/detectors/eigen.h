// Eigenvectors of small symmetric matrices.
#pragma once

#include <vector>

namespace assay {

struct SymmetricEigen {
  std::vector<double> values;   ///< (n), descending
  std::vector<double> vectors;  ///< (n,n): row i is the unit eigenvector of values[i]
};
/// Eigenvectors of a symmetric (n,n) matrix by cyclic Jacobi rotations (Golub and Van Loan, "Matrix
/// Computations", 8.5): a few ms at n = 75; the vectors are orthogonal up to rounding.
SymmetricEigen symmetric_eigen(std::vector<double> a, int n);

}  // namespace assay
