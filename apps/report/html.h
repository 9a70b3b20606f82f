// Pieces of the report's page.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace assay {

/// A whole page: style sheet (light and dark, any width) and body.
std::string html_page(const std::string& title, const std::string& body);

/// Cells are HTML already; `numeric_from` is the first column that is set to the right.
std::string html_table(const std::vector<std::string>& header,
                       const std::vector<std::vector<std::string>>& rows, size_t numeric_from = 1);

/// The picture of a PNG file, inside the page. Error when the file cannot be read.
std::string html_image(const std::filesystem::path& png, const std::string& description);

}  // namespace assay
