// assay info
#include <cstdio>
#include <nlohmann/json.hpp>

#include "apps/assay/cli.h"
#include "kernels/runtime/error.h"
#include "kernels/runtime/isa.h"
#include "kernels/runtime/transfer.h"
#include "models/run/machine.h"

namespace assay {
namespace {

using Json = nlohmann::ordered_json;

Json collect() {
  Json sets = Json::array();
  for (const Isa isa : {Isa::portable, Isa::avx2, Isa::avx512})
    if (isa_available(isa)) sets.push_back(name_of(isa));
  return {
      {"version", ASSAY_VERSION},
      {"compiler", ASSAY_COMPILER},
      {"build", ASSAY_BUILD_TYPE},
      {"cpu", cpu_name()},
      {"instruction_set", name_of(active_isa())},
      {"instruction_sets", sets},
      {"amx", name_of(active_tiles())},
      {"threads", available_threads()},
      {"cuda", cuda_available() ? Json(device_name(Device::cuda())) : Json(false)},
      {"libraries",
       {{"CLI11", CLI11_VERSION},
        {"nlohmann-json", fmt::format("{}.{}.{}", NLOHMANN_JSON_VERSION_MAJOR,
                                      NLOHMANN_JSON_VERSION_MINOR, NLOHMANN_JSON_VERSION_PATCH)}}}};
}

int info_verb(bool as_json) {
  const Json info = collect();
  if (as_json) {
    std::printf("%s\n", info.dump(2).c_str());
    return 0;
  }
  for (const auto& [key, value] : info.items())
    std::printf("%-17s %s\n", key.c_str(),
                value.is_string() ? value.get<std::string>().c_str() : value.dump().c_str());
  return 0;
}

}  // namespace

void add_info(CLI::App& app, Action& run) {
  CLI::App* verb = app.add_subcommand("info", "this build and this machine");
  auto as_json = std::make_shared<bool>(false);
  verb->add_flag("--json", *as_json, "print JSON");
  verb->callback([=, &run] { run = [=] { return info_verb(*as_json); }; });
}

}  // namespace assay
