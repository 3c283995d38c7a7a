#include "process/start_order.hpp"

#include "procession/detail/codec.hpp"

namespace procession::detail {

void StartOrder::write(Writer& writer) const {
  encode(writer, identity);
  encode(writer, daemon);
  encode(writer, report);
  encode(writer, default_method);
  encode(writer, limits);
  encode(writer, environment);
  encode(writer, cpus);
}

StartOrder StartOrder::read(Reader& reader) {
  StartOrder order;
  order.identity = decode<std::string>(reader);
  order.daemon = decode<bool>(reader);
  order.report = decode<bool>(reader);
  order.default_method = decode<std::uint8_t>(reader);
  order.limits = decode<Limits>(reader);
  order.environment = decode<std::map<std::string, std::string>>(reader);
  order.cpus = decode<std::vector<int>>(reader);
  return order;
}

}  // namespace procession::detail
