#include "tokenizer.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "keywords.hpp"
#include "tokens.hpp"

namespace headers {
namespace {

// --- identifiers and keywords ---

TEST(Tokenizer, EmptySourceAndWhiteSpaceGiveNothing) {
  EXPECT_EQ(tokens(""), List{});
  EXPECT_EQ(tokens(" \t\r\n\f\v\n"), List{});
  EXPECT_EQ(tokens(std::string_view()), List{});
}

TEST(Tokenizer, KeywordsAreNotIdentifiers) {
  EXPECT_EQ(tokens("int x; co_await co_awaits reinterpret_cast _Bool do d"),
            (List{"k:int", "i:x", "p:;", "k:co_await", "i:co_awaits", "k:reinterpret_cast",
                  "k:_Bool", "k:do", "i:d"}));
  EXPECT_EQ(tokens("restrict typeof override final module"),
            (List{"i:restrict", "i:typeof", "i:override", "i:final", "i:module"}));
}

TEST(Tokenizer, AlternativeOperatorSpellingsAreKeywords) {
  for (const std::string_view word : {"and", "and_eq", "bitand", "bitor", "compl", "not", "not_eq",
                                      "or", "or_eq", "xor", "xor_eq"}) {
    EXPECT_TRUE(is_keyword(word)) << word;
  }
  EXPECT_FALSE(is_keyword(""));
  EXPECT_FALSE(is_keyword("a"));
  EXPECT_FALSE(is_keyword("reinterpret_castx"));
}

TEST(Tokenizer, IdentifiersMayHoldDollarsDigitsAndUnderscores) {
  EXPECT_EQ(tokens("$a _1 a$b __x9"), (List{"i:$a", "i:_1", "i:a$b", "i:__x9"}));
}

TEST(Tokenizer, Utf8AndUniversalCharacterNamesAreOneIdentifier) {
  EXPECT_EQ(tokens("größe gr\\u00f6\\U000000DFe gr\\u{f6}ße"),
            (List{"i:größe", "i:größe", "i:größe"}));
  EXPECT_EQ(tokens("变量 = élan"), (List{"i:变量", "p:=", "i:élan"}));
}

TEST(Tokenizer, CharactersOutsideIdentifiersEndThem) {
  EXPECT_EQ(tokens("a\\u0041b"), (List{"i:a", "o:\\", "i:u0041b"}));  // basic characters: never so
  EXPECT_EQ(tokens("a\xC2\xA0"
                   "b"),
            (List{"i:a", "o:\xC2\xA0", "i:b"}));  // no-break space
  EXPECT_EQ(tokens("a\xE2\x80\x94"
                   "b"),
            (List{"i:a", "o:\xE2\x80\x94", "i:b"}));  // dash
  EXPECT_EQ(tokens("\xCC\x81"
                   "a"),
            (List{"o:\xCC\x81", "i:a"}));  // a combining mark cannot begin
  EXPECT_EQ(tokens("a\xCC\x81"), (List{"i:a\xCC\x81"}));
}

TEST(Tokenizer, BytesThatAreNotUtf8AreStray) {
  EXPECT_EQ(tokens("a\xE9"
                   "b"),
            (List{"i:a", "o:\xE9", "i:b"}));                                // Latin-1
  EXPECT_EQ(tokens("\xC0\x80"), (List{"o:\xC0", "o:\x80"}));                // overlong
  EXPECT_EQ(tokens("\xED\xA0\x80"), (List{"o:\xED", "o:\xA0", "o:\x80"}));  // surrogate
  EXPECT_EQ(tokens("x\xE2\x82"), (List{"i:x", "o:\xE2", "o:\x82"}));        // cut short
}

TEST(Tokenizer, ByteOrderMarkIsSkipped) {
  EXPECT_EQ(tokens("\xEF\xBB\xBF#pragma once"), (List{"p:#", "d:pragma", "i:once"}));
}

TEST(Tokenizer, MalformedUniversalCharacterNamesAreStrayBackslashes) {
  EXPECT_EQ(tokens("\\u12"), (List{"o:\\", "i:u12"}));
  EXPECT_EQ(tokens("a\\u{}"), (List{"i:a", "o:\\", "i:u", "p:{", "p:}"}));
  EXPECT_EQ(tokens("\\u{110000}")[0], "o:\\");
  EXPECT_EQ(tokens("\\"), (List{"o:\\"}));
}

// --- line splices ---

TEST(Tokenizer, SplicesInsideIdentifiersAndKeywordsVanish) {
  EXPECT_EQ(tokens("foo\\\nbar"), (List{"i:foobar"}));
  EXPECT_EQ(tokens("foo\\\r\nbar"), (List{"i:foobar"}));
  EXPECT_EQ(tokens("foo\\  \t\nbar"), (List{"i:foobar"}));
  EXPECT_EQ(tokens("re\\\ntu\\\n\\\nrn x"), (List{"k:return", "i:x"}));
  EXPECT_EQ(tokens("\\\nx\\\n"), (List{"i:x"}));
  EXPECT_EQ(tokens("gr\\u00\\\nf6ße"), (List{"i:größe"}));
}

TEST(Tokenizer, SplicesInsidePunctuatorsNumbersAndPrefixesVanish) {
  EXPECT_EQ(tokens("a<\\\n<\\\n=b").size(), 3u);
  EXPECT_EQ(tokens("1\\\n2 3").size(), 2u);
  EXPECT_EQ(tokens("u\\\n8\\\nR\\\n\"(a)\" x"), (List{"s:u\\\n8\\\nR\\\n\"(a)\"", "i:x"}));
  EXPECT_EQ(tokens(".\\\n5"), (List{"n:.\\\n5"}));
}

TEST(Tokenizer, SplicesJoinDirectiveLines) {
  EXPECT_EQ(tokens("#\\\ndefine A \\\n # x"), (List{"p:#", "d:define", "i:A", "p:#", "i:x"}));
  EXPECT_EQ(tokens("#inc\\\nlude <a b>"), (List{"p:#", "d:include", "h:<a b>"}));
}

TEST(Tokenizer, BackslashBeforeOtherCharactersIsStray) {
  EXPECT_EQ(tokens("a \\ b"), (List{"i:a", "o:\\", "i:b"}));
}

TEST(Tokenizer, TrigraphsAreNotHonoured) {
  EXPECT_EQ(tokens("a // b ?"
                   "?/\nc"),
            (List{"i:a", "i:c"}));
  EXPECT_EQ(tokens("?"
                   "?="),
            (List{"p:?", "p:?", "p:="}));
  EXPECT_EQ(tokens("\"?"
                   "?/\" x"),
            (List{"s:\"?"
                  "?/\"",
                  "i:x"}));
}

// --- comments ---

TEST(Tokenizer, CommentsHideTheirWords) {
  EXPECT_EQ(tokens("a // b c\nd /* e \n f */ g"), (List{"i:a", "i:d", "i:g"}));
  EXPECT_EQ(tokens("a/**/b/***/c/*/ d */e"), (List{"i:a", "i:b", "i:c", "i:e"}));
  EXPECT_EQ(tokens("a // \" ' /* \nb /* // \" */ c"), (List{"i:a", "i:b", "i:c"}));
}

TEST(Tokenizer, CommentsAreHandedOutWhole) {
  EXPECT_EQ(tokens("/* x */ // y\n", true), (List{"/:/* x */", "/:// y"}));
  EXPECT_EQ(tokens("// y", true), (List{"/:// y"}));
  EXPECT_EQ(tokens("/**/", true), (List{"/:/**/"}));
}

TEST(Tokenizer, SpliceContinuesALineComment) {
  EXPECT_EQ(tokens("// a \\\n b\nc"), (List{"i:c"}));
  EXPECT_EQ(tokens("// a \\ \t\r\n b\nc"), (List{"i:c"}));
  EXPECT_EQ(tokens("//\\\n\\\nb\nc"), (List{"i:c"}));
  EXPECT_EQ(tokens("// a \\ b\nc"), (List{"i:c"}));
  EXPECT_EQ(tokens("// a \\"), List{});
}

TEST(Tokenizer, SplicesInsideCommentMarksVanish) {
  EXPECT_EQ(tokens("/\\\n/ a\nb"), (List{"i:b"}));
  EXPECT_EQ(tokens("/\\\n* a *\\\n/ b"), (List{"i:b"}));
  EXPECT_EQ(tokens("/* a *\\ b */ c"), (List{"i:c"}));
}

TEST(Tokenizer, UnterminatedCommentReachesTheEndOfTheFile) {
  EXPECT_EQ(tokens("a /* b\nc"), (List{"i:a", "u:/* b\nc"}));
  EXPECT_EQ(tokens("/*"), (List{"u:/*"}));
  EXPECT_EQ(tokens("/*/"), (List{"u:/*/"}));
  EXPECT_EQ(tokens("/**"), (List{"u:/**"}));
}

// --- directives and header names ---

TEST(Tokenizer, DirectiveNamesAreCountedApart) {
  EXPECT_EQ(tokens("  # if A\n#else\n/* c */ # /* d */ endif\n#\nif"),
            (List{"p:#", "d:if", "i:A", "p:#", "d:else", "p:#", "d:endif", "p:#", "k:if"}));
  EXPECT_EQ(tokens("x # define"), (List{"i:x", "p:#", "i:define"}));
  EXPECT_EQ(tokens("%:define A"), (List{"p:%:", "d:define", "i:A"}));
  EXPECT_EQ(tokens("# 12 x"), (List{"p:#", "n:12", "i:x"}));
}

TEST(Tokenizer, HeaderNamesAreNoIdentifiers) {
  EXPECT_EQ(tokens("#include <sys/types.h>\n"), (List{"p:#", "d:include", "h:<sys/types.h>"}));
  EXPECT_EQ(tokens("#include <a//b'c\"d>"), (List{"p:#", "d:include", "h:<a//b'c\"d>"}));
  EXPECT_EQ(tokens("#include_next/**/<a>"), (List{"p:#", "d:include_next", "h:<a>"}));
  EXPECT_EQ(tokens("#include \"a\\\" x"), (List{"p:#", "d:include", "h:\"a\\\"", "i:x"}));
  EXPECT_EQ(tokens("#embed <a>"), (List{"p:#", "d:embed", "h:<a>"}));
}

TEST(Tokenizer, MacroAfterIncludeIsAnIdentifier) {
  EXPECT_EQ(tokens("#include NAME <a>"), (List{"p:#", "d:include", "i:NAME", "p:<", "i:a", "p:>"}));
}

TEST(Tokenizer, UnterminatedHeaderNameIsOrdinaryTokens) {
  EXPECT_EQ(tokens("#include <a\nb>"), (List{"p:#", "d:include", "p:<", "i:a", "i:b", "p:>"}));
  EXPECT_EQ(tokens("#include <"), (List{"p:#", "d:include", "p:<"}));
  EXPECT_EQ(tokens("#include\n<a>"), (List{"p:#", "d:include", "p:<", "i:a", "p:>"}));
}

TEST(Tokenizer, HeaderNamesAlsoFollowHasIncludeAndImport) {
  EXPECT_EQ(tokens("#if __has_include(<a/b>) && c"),
            (List{"p:#", "d:if", "i:__has_include", "p:(", "h:<a/b>", "p:)", "p:&&", "i:c"}));
  EXPECT_EQ(tokens("import <vector>;"), (List{"i:import", "h:<vector>", "p:;"}));
  EXPECT_EQ(tokens("export import <vector>;"), (List{"k:export", "i:import", "h:<vector>", "p:;"}));
  EXPECT_EQ(tokens("x import <y>"), (List{"i:x", "i:import", "p:<", "i:y", "p:>"}));
  EXPECT_EQ(tokens("a __has_include(<b>)"),
            (List{"i:a", "i:__has_include", "p:(", "p:<", "i:b", "p:>", "p:)"}));
}

TEST(Tokenizer, LessThanElsewhereIsAnOperator) {
  EXPECT_EQ(tokens("vector<int> v; a <b> c"), (List{"i:vector", "p:<", "k:int", "p:>", "i:v", "p:;",
                                                    "i:a", "p:<", "i:b", "p:>", "i:c"}));
}

// --- punctuators ---

TEST(Tokenizer, EveryPunctuatorIsTakenWhole) {
  for (const std::string text :
       {"{",  "}",  "[",   "]",  "(",   ")",  ";",  ":",   "::", "...", "?",   ".",
        ".*", "->", "->*", "~",  "!",   "+",  "-",  "*",   "/",  "%",   "^",   "&",
        "|",  "=",  "+=",  "-=", "*=",  "/=", "%=", "^=",  "&=", "|=",  "==",  "!=",
        "<",  ">",  "<=",  ">=", "<=>", "&&", "||", "<<",  ">>", "<<=", ">>=", "++",
        "--", ",",  "##",  "<:", ":>",  "<%", "%>", "%:%:"}) {
    EXPECT_EQ(tokens("a " + text + " b"), (List{"i:a", "p:" + text, "i:b"}));
  }
}

TEST(Tokenizer, LongestPunctuatorWins) {
  EXPECT_EQ(tokens("a+++++b"), (List{"i:a", "p:++", "p:++", "p:+", "i:b"}));
  EXPECT_EQ(tokens("a..b"), (List{"i:a", "p:.", "p:.", "i:b"}));
  EXPECT_EQ(tokens("x %:%x"), (List{"i:x", "p:%:", "p:%", "i:x"}));
  EXPECT_EQ(tokens("a>>>=b"), (List{"i:a", "p:>>", "p:>=", "i:b"}));
}

TEST(Tokenizer, LessColonColonIsNoDigraph) {
  EXPECT_EQ(tokens("v<::T>"), (List{"i:v", "p:<", "p:::", "i:T", "p:>"}));
  EXPECT_EQ(tokens("v<::>"), (List{"i:v", "p:<:", "p::>"}));
  EXPECT_EQ(tokens("v<:::T"), (List{"i:v", "p:<:", "p:::", "i:T"}));
}

TEST(Tokenizer, StrayCharactersStandAlone) {
  EXPECT_EQ(tokens("@a `b\x01"
                   "c"),
            (List{"o:@", "i:a", "o:`", "i:b", "o:\x01", "i:c"}));
  EXPECT_EQ(tokens(std::string_view("a\0b", 3)), (List{"i:a", "i:b"}));
}

// --- hostile sources ---

TEST(Tokenizer, EveryPrefixOfASourceIsTokenisedWithinItsBounds) {
  const std::string source =
      "\xEF\xBB\xBF#include <a>\n/* c *\\\n/ u8R\"d(x)d\"_s 1'0e+5 L'\\'' gr\\u00f6\\\n\xC3\x9F "
      "<::x %:%: .\\\n5 // y \\\n z\n'un";
  for (std::size_t length = 0; length <= source.size(); ++length) {
    const std::vector<char> exact(source.begin(),
                                  source.begin() + static_cast<std::ptrdiff_t>(length));
    Tokenizer tokenizer({exact.data(), exact.size()});  // an overrun would be seen by a sanitizer
    std::size_t count = 0;
    for (Token token; tokenizer.next(token);) ++count;
    EXPECT_LE(count, length);
  }
}

TEST(Tokenizer, HostileRepetitionsTakeLinearTime) {
  // Each would take hours if a token looked ahead to the end and then stepped back.
  for (const std::string_view piece :
       {"'\\", "\\'", "R\"(", "/*", "\\\n", "\\ ", "\\u{", "\\u\\\n", "<:", "%:%", "#include <",
        "1'", "\"\\\n", "\xE2\x82", "//\\\n", "R\"x", "*\\\n", "__has_include(<"}) {
    std::string source = "#if ";
    while (source.size() < 4'000'000) source += piece;
    Tokenizer tokenizer(source);
    std::size_t bytes = 0;
    for (Token token; tokenizer.next(token);) bytes += token.text.size();
    EXPECT_LE(bytes, source.size()) << piece;
  }
}

}  // namespace
}  // namespace headers
