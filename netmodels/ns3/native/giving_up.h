// SPDX-License-Identifier: GPL-2.0-only
//
// ns-3's last words. On a fatal error or a failed assertion it writes to std::cerr, parts of it to
// std::clog, and calls std::terminate(), as C++ does with an exception that nobody catches. What was written is kept, and
// handed over before the process ends.
#ifndef SIMCORE_NS3_GIVING_UP_H
#define SIMCORE_NS3_GIVING_UP_H

#include <cstdlib>
#include <exception>
#include <iostream>
#include <streambuf>
#include <string>

namespace simcore
{

using Farewell = void (*)(const char* text);

inline Farewell&
TheFarewell()
{
    static Farewell farewell = nullptr;
    return farewell;
}

/// Passes on what is written, and keeps the end of it.
class Remembering : public std::streambuf
{
  public:
    explicit Remembering(std::streambuf* to)
        : m_to(to)
    {
    }

    std::string text;

  private:
    static constexpr size_t MOST = 16384;

    int_type overflow(int_type written) override
    {
        if (!traits_type::eq_int_type(written, traits_type::eof()))
        {
            char letter = traits_type::to_char_type(written);
            xsputn(&letter, 1);
        }
        return traits_type::not_eof(written);
    }

    std::streamsize xsputn(const char* from, std::streamsize count) override
    {
        text.append(from, static_cast<size_t>(count));
        if (text.size() > 2 * MOST)
        {
            text.erase(0, text.size() - MOST);
        }
        return m_to->sputn(from, count);
    }

    int sync() override
    {
        return m_to->pubsync();
    }

    std::streambuf* m_to;
};

inline Remembering&
LastWords()
{
    static auto words = new Remembering(std::cerr.rdbuf()); // outlives std::cerr
    return *words;
}

[[noreturn]] inline void
GiveUp()
{
    std::string text = LastWords().text;
    if (auto thrown = std::current_exception())
    {
        try
        {
            std::rethrow_exception(thrown);
        }
        catch (const std::exception& error)
        {
            text += error.what();
        }
        catch (...)
        {
            text += "an exception of an unknown type";
        }
    }
    if (Farewell farewell = TheFarewell())
    {
        TheFarewell() = nullptr;
        farewell(text.c_str());
    }
    std::abort();
}

/// Have someone told when ns-3 gives up.
inline void
TellWhenGivingUp(Farewell farewell)
{
    TheFarewell() = farewell;
    std::cerr.rdbuf(&LastWords());
    std::clog.rdbuf(&LastWords());
    std::set_terminate(&GiveUp);
}

} // namespace simcore

#endif
