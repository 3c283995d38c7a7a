// Strings, characters, raw strings and numbers.
#include <gtest/gtest.h>

#include <string>

#include "tokens.hpp"

namespace headers {
namespace {

// --- literals ---

TEST(TokenizerLiterals, StringsAndCharactersHideTheirWords) {
  EXPECT_EQ(tokens(R"(f("a b", 'c');)"),
            (List{"i:f", "p:(", "s:\"a b\"", "p:,", "c:'c'", "p:)", "p:;"}));
  EXPECT_EQ(tokens("\"/* \" x \" */\""), (List{"s:\"/* \"", "i:x", "s:\" */\""}));
  EXPECT_EQ(tokens("'\"' x '\\'' y \"'\""), (List{"c:'\"'", "i:x", "c:'\\''", "i:y", "s:\"'\""}));
}

TEST(TokenizerLiterals, EscapesDoNotEndALiteral) {
  EXPECT_EQ(tokens(R"("a\"b" x "\\" y)"), (List{R"(s:"a\"b")", "i:x", R"(s:"\\")", "i:y"}));
  EXPECT_EQ(tokens(R"('\\' x)"), (List{R"(c:'\\')", "i:x"}));
}

TEST(TokenizerLiterals, SplicesInsideLiterals) {
  EXPECT_EQ(tokens("\"a\\\nb\" x"), (List{"s:\"a\\\nb\"", "i:x"}));
  // The escape's backslash, a splice, the quote that it escapes.
  EXPECT_EQ(tokens("\"a\\\\\n\"b\" x"), (List{"s:\"a\\\\\n\"b\"", "i:x"}));
}

TEST(TokenizerLiterals, EveryPrefixBelongsToItsLiteral) {
  for (const std::string prefix : {"u8", "u", "U", "L"}) {
    EXPECT_EQ(tokens(prefix + "\"a\" x"), (List{"s:" + prefix + "\"a\"", "i:x"}));
    EXPECT_EQ(tokens(prefix + "'a' x"), (List{"c:" + prefix + "'a'", "i:x"}));
    EXPECT_EQ(tokens(prefix + "R\"(a\")\" x"), (List{"s:" + prefix + "R\"(a\")\"", "i:x"}));
    EXPECT_EQ(tokens(prefix + " \"a\""), (List{"i:" + prefix, "s:\"a\""}));
  }
  EXPECT_EQ(tokens("u9\"a\" u8u\"a\" l'a'"),
            (List{"i:u9", "s:\"a\"", "i:u8u", "s:\"a\"", "i:l", "c:'a'"}));
}

TEST(TokenizerLiterals, UserDefinedSuffixBelongsToItsLiteral) {
  EXPECT_EQ(tokens("\"a\"_s x 'c'_c 1.5_km 0x1F_u"),
            (List{"s:\"a\"_s", "i:x", "c:'c'_c", "n:1.5_km", "n:0x1F_u"}));
  EXPECT_EQ(tokens("R\"(a)\"sv x"), (List{"s:R\"(a)\"sv", "i:x"}));
  EXPECT_EQ(tokens("\"a\"_gr\\u00f6ße x \"b\"_größe"),
            (List{"s:\"a\"_gr\\u00f6ße", "i:x", "s:\"b\"_größe"}));
  EXPECT_EQ(tokens("\"a\" _s"), (List{"s:\"a\"", "i:_s"}));
  EXPECT_EQ(tokens("\"a\"\"b\""), (List{"s:\"a\"", "s:\"b\""}));
}

TEST(TokenizerLiterals, UnterminatedLiteralEndsWithItsLine) {
  EXPECT_EQ(tokens("\"abc\nx"), (List{"u:\"abc", "i:x"}));
  EXPECT_EQ(tokens("'a\nx"), (List{"u:'a", "i:x"}));
  EXPECT_EQ(tokens("\"abc\\"), (List{"u:\"abc\\"}));
  EXPECT_EQ(tokens("\""), (List{"u:\""}));
  EXPECT_EQ(tokens("L'"), (List{"u:L'"}));
}

TEST(TokenizerLiterals, ApostropheInAnErrorLineOrAssemblerHurtsNoOtherLine) {
  EXPECT_EQ(tokens("#error don't include this\nint x;"),
            (List{"p:#", "d:error", "i:don", "u:'t include this", "k:int", "i:x", "p:;"}));
  EXPECT_EQ(tokens("# comment: it's assembler\nmovl $1, %eax\n"),
            (List{"p:#", "d:comment", "p::", "i:it", "u:'s assembler", "i:movl", "i:$1", "p:,",
                  "p:%", "i:eax"}));
}

// --- raw strings ---

TEST(TokenizerLiterals, RawStringsKeepQuotesEscapesSplicesAndNewlines) {
  EXPECT_EQ(tokens("R\"(a\"b\\)\" x"), (List{"s:R\"(a\"b\\)\"", "i:x"}));
  EXPECT_EQ(tokens("R\"(a\n// b\n/*)\" x"), (List{"s:R\"(a\n// b\n/*)\"", "i:x"}));
  EXPECT_EQ(tokens("R\"a()\\\na\")a\" x"), (List{"s:R\"a()\\\na\")a\"", "i:x"}));
}

TEST(TokenizerLiterals, RawStringEndsAtItsOwnDelimiterOnly) {
  EXPECT_EQ(tokens("u8R\"x()y\" )x\" y"), (List{"s:u8R\"x()y\" )x\"", "i:y"}));
  EXPECT_EQ(tokens("R\"x())x\" y"), (List{"s:R\"x())x\"", "i:y"}));
  EXPECT_EQ(tokens("R\"()\" y"), (List{"s:R\"()\"", "i:y"}));
}

TEST(TokenizerLiterals, RawStringDelimiterHasAtMostSixteenCharacters) {
  const std::string sixteen(16, 'd');
  EXPECT_EQ(tokens("R\"" + sixteen + "(a)" + sixteen + "\" y"),
            (List{"s:R\"" + sixteen + "(a)" + sixteen + "\"", "i:y"}));
  const std::string seventeen(17, 'd');
  EXPECT_EQ(tokens("R\"" + seventeen + "(a)\" y"),
            (List{"i:R", "s:\"" + seventeen + "(a)\"", "i:y"}));
}

TEST(TokenizerLiterals, RAsAnIdentifier) {
  EXPECT_EQ(tokens("R r = R::f('a') + R 'b'"),
            (List{"i:R", "i:r", "p:=", "i:R", "p:::", "i:f", "p:(", "c:'a'", "p:)", "p:+", "i:R",
                  "c:'b'"}));
  EXPECT_EQ(tokens("R'a' xR\"(a)\""), (List{"i:R", "c:'a'", "i:xR", "s:\"(a)\""}));
  EXPECT_EQ(tokens("R\"a b(c)\" x"), (List{"i:R", "s:\"a b(c)\"", "i:x"}));  // no raw string
}

TEST(TokenizerLiterals, UnterminatedRawStringReachesTheEndOfTheFile) {
  EXPECT_EQ(tokens("R\"x(a)\" b\nc"), (List{"u:R\"x(a)\" b\nc"}));
  EXPECT_EQ(tokens("R\"("), (List{"u:R\"("}));
  EXPECT_EQ(tokens("R\""), (List{"i:R", "u:\""}));
}

// --- numbers ---

TEST(TokenizerLiterals, NumbersAreOneTokenWithSeparatorsExponentsAndSuffixes) {
  for (const std::string number :
       {"1'000'000", "0xDEAD'beefULL", "1e+5", "1E-5f", "0x1.8p+3", "0x1P-3", ".5", "1.", "1..2",
        "0b1010'1010", "1_km", "1.0if", "12abc_9", "1\\u00e9", "1é"}) {
    EXPECT_EQ(tokens(number + " x"), (List{"n:" + number, "i:x"}));
  }
  EXPECT_EQ(tokens("1+2"), (List{"n:1", "p:+", "n:2"}));
  EXPECT_EQ(tokens("0xe+1"), (List{"n:0xe+1"}));  // a pp-number, if no valid literal
  EXPECT_EQ(tokens("x.y 1 .z"), (List{"i:x", "p:.", "i:y", "n:1", "p:.", "i:z"}));
}

TEST(TokenizerLiterals, ApostropheAfterANumberIsASeparatorOnlyBeforeADigitOrLetter) {
  EXPECT_EQ(tokens("1' 'x"), (List{"n:1", "c:' 'x"}));
  EXPECT_EQ(tokens("1'"), (List{"n:1", "u:'"}));
  EXPECT_EQ(tokens("1''2"), (List{"n:1", "c:''", "n:2"}));
}

}  // namespace
}  // namespace headers
