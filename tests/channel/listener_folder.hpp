// A folder for sockets, removed with what is in it.
#pragma once

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <stdexcept>
#include <string>

namespace procession {

class ListenerFolder {
 public:
  ListenerFolder() {
    std::string name = std::filesystem::temp_directory_path() / "procession-listener-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = name;
  }
  ~ListenerFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  ListenerFolder(const ListenerFolder&) = delete;
  ListenerFolder& operator=(const ListenerFolder&) = delete;

  [[nodiscard]] std::string file(const std::string& name) const { return path_ / name; }
  [[nodiscard]] std::size_t names() const {
    const std::filesystem::directory_iterator all(path_);
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
  }

 private:
  std::filesystem::path path_;
};

}  // namespace procession
