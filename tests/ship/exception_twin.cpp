// A type with the same name as one of registered_exception_test.cpp.
#include <stdexcept>

#include "procession/remote.hpp"

namespace procession {
namespace {
struct Twin : std::runtime_error {
  using std::runtime_error::runtime_error;
};
}  // namespace

void register_the_other_twin();
void register_the_other_twin() { register_exception<Twin>(); }

}  // namespace procession
