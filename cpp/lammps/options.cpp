/* SPDX-License-Identifier: GPL-2.0-only */
#include "options.h"

#include "problem.h"

#include "atom.h"
#include "lammps.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <set>

namespace boltzdrift_lammps {

namespace {

class Words {
 public:
  Words(const std::vector<std::string> &all, const std::string &shown) : words(all), usage(shown) {}

  bool done() const { return at == words.size(); }

  const std::string &next(const std::string &what)
  {
    if (done()) throw Problem(what + " is missing; use: " + usage);
    return words[at++];
  }

  template <typename Number> Number number(const std::string &keyword, Number least, Number most)
  {
    const std::string &word = next("the value of " + keyword);
    Number value{};
    const char *end = word.data() + word.size();
    const auto read = std::from_chars(word.data(), end, value);
    if (read.ec != std::errc() || read.ptr != end || !(value >= least && value <= most))
      throw Problem(keyword + " '" + word + "' is no " + kind(value) + " from " + shown(least) + " to " + shown(most));
    return value;
  }

  [[noreturn]] void wrong(const std::string &what) const { throw Problem(what + "; use: " + usage); }

 private:
  static const char *kind(double) { return "number"; }
  static const char *kind(uint64_t) { return "whole number"; }
  static const char *kind(int) { return "whole number"; }
  static std::string shown(double value) { return text(value); }
  static std::string shown(uint64_t value) { return std::to_string(value); }
  static std::string shown(int value) { return std::to_string(value); }

  const std::vector<std::string> &words;
  const std::string &usage;
  size_t at = 0;
};

Velocities velocities_of(const std::string &word, const Words &words)
{
  if (word == "auto") return Velocities::automatic;
  if (word == "internal") return Velocities::internal;
  if (word == "full") return Velocities::full;
  if (word == "no") return Velocities::no;
  words.wrong("velocities '" + word + "' is none of auto, internal, full, no");
}

}    // namespace

Options parse_options(LAMMPS_NS::LAMMPS *lmp, const std::vector<std::string> &all, bool named_group,
                      const std::string &usage)
{
  // Half of the range, so that an index and what is added to it never wrap around.
  constexpr uint64_t MOST = std::numeric_limits<int64_t>::max();
  Options options;
  Words words(all, usage);
  std::set<std::string> seen;
  options.model = words.next("MODEL, the file of a sampler,");
  while (!words.done()) {
    const std::string keyword = words.next("a keyword");
    if (!seen.insert(keyword).second) words.wrong(keyword + " is given twice");
    if (keyword == "group" && named_group) {
      options.group = words.next("the group");
    } else if (keyword == "seed") {
      options.seed = words.number<uint64_t>(keyword, 0, MOST);
    } else if (keyword == "index") {
      options.index = words.number<uint64_t>(keyword, 0, MOST);
    } else if (keyword == "temp") {
      options.kelvin = words.number<double>(keyword, 1e-3, 1e6);
    } else if (keyword == "orient") {
      const std::string &how = words.next("random or keep");
      if (how != "random" && how != "keep") words.wrong("orient '" + how + "' is neither random nor keep");
      options.keep = how == "keep";
    } else if (keyword == "refine") {
      options.refine = words.number<int>(keyword, 0, 1000000);
    } else if (keyword == "timestep") {
      options.timestep = words.number<double>(keyword, 1e-30, 1e30);
    } else if (keyword == "velocities") {
      options.velocities = velocities_of(words.next("auto, internal, full or no"), words);
    } else if (keyword == "types") {
      for (int type = 0; type < lmp->atom->ntypes; ++type) options.types.push_back(words.next("an element of types"));
    } else {
      words.wrong("'" + keyword + "' is no keyword here");
    }
  }
  if (named_group && !seen.count("group")) words.wrong("group is missing");
  if (!seen.count("seed")) words.wrong("seed is missing");
  if (options.timestep && options.refine == 0) words.wrong("timestep is that of refine, which is not asked for");
  return options;
}

}    // namespace boltzdrift_lammps
