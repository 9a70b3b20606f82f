#include <string>

#include "data/file.h"
#include "kernels/runtime/error.h"
#include "models/run/config.h"
#include "models/run/csv.h"
#include "tests/fuzz/scratch.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const assay::ScratchFolder folder;
  const std::string name(reinterpret_cast<const char*>(data), size);
  for (const char c : assay::printable(name))
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) __builtin_trap();
  if (!assay::is_utf8(assay::list_name(name))) __builtin_trap();
  // A quoted word has no quote of its own left open.
  const std::string word = assay::quoted(name);
  bool open = false;
  for (size_t i = 0; i < word.size(); ++i) {
    if (!open && word[i] == '\\')
      ++i;
    else if (word[i] == '\'')
      open = !open;
    else if (!open &&
             std::string_view(" ;&|<>$`\"#~*?()[]{}!\n\t").find(word[i]) != std::string_view::npos)
      __builtin_trap();
  }
  if (open) __builtin_trap();
  // A CSV field reads back as it was; a carriage return outside of quotes is not kept.
  const std::string csv = assay::csv_row({"a", "b"}) + assay::csv_row({name, "x"});
  const auto file = folder.write("t.csv", reinterpret_cast<const uint8_t*>(csv.data()), csv.size());
  if (assay::read_csv(file).rows.at(0).at(0) != name) __builtin_trap();
  return 0;
}
