// SPDX-License-Identifier: GPL-2.0-only
//
// The exchange: an ADVANCE is read, done and answered right here, for Python would take as long for it
// as ns-3 does. Only lines of nothing but messages on known ways are, written as simcore writes them;
// all others are the caller's.
#ifndef SIMCORE_NS3_SERVING_H
#define SIMCORE_NS3_SERVING_H

#include "advancing.h"
#include "traffic.h"

#include <cerrno>
#include <charconv>
#include <string_view>
#include <unistd.h>

namespace simcore
{

/// Where a message goes in ns-3, from one name to another.
struct Way
{
    uint32_t node;
    uint32_t to;
    uint32_t manner;
};

/// A message that is to enter.
struct Entry
{
    uint64_t at;
    uint64_t size;
    std::string_view id;
    const Way* way;
};

class Exchange
{
  public:
    /// Have a way be known. Names are as JSON writes them, between the quotation marks.
    void Know(const std::string& source, const std::string& destination, Way way)
    {
        m_ways[source + '"' + destination] = way;
    }

    /// Have a message enter at a virtual time (ns), which has not passed. `id` as JSON writes it.
    void Enter(std::string_view id, uint64_t at, uint64_t size, const Way& way)
    {
        ns3::Time delay = ns3::NanoSeconds(at + TheLedger().warmUp) - ns3::Simulator::Now();
        m_ids.emplace(++m_count, id);
        ns3::Simulator::ScheduleWithContext(TheWorld().nodes.Get(way.node)->GetId(),
                                            delay,
                                            &Send,
                                            way.node,
                                            way.to,
                                            static_cast<uint32_t>(size),
                                            m_count,
                                            way.manner);
        TheLedger().coming++;
    }

    /// Go on to a virtual time (ns, exclusive) or to the first delivery, and say what happened.
    /// Whether somebody listens.
    bool Answer(int out, uint64_t seq, uint64_t until)
    {
        static const char* const fates[] = {
            "delivered", "loss", "queue_full", "link_down", "node_down"};
        uint64_t now = Advance(until);
        uint64_t next = NextEvent();
        m_answer = "{\"type\":\"DONE\",\"seq\":";
        Write(seq);
        m_answer += ",\"now\":";
        Write(now);
        if (next != NEVER)
        {
            m_answer += ",\"next\":";
            Write(next);
        }
        m_answer += ",\"outputs\":[";
        for (const Outcome& outcome : TheLedger().outcomes)
        {
            auto id = m_ids.extract(outcome.id);
            m_answer += m_answer.back() == '[' ? "{\"at\":" : ",{\"at\":";
            Write(outcome.at);
            m_answer += ",\"id\":\"" + id.mapped() + "\",\"fate\":\"" + fates[outcome.fate] + "\"}";
        }
        TheLedger().outcomes.clear();
        m_answer += "]}\n";
        return WriteOut(out);
    }

    /// The next line that is not answered here, without its newline; empty: nobody is there any
    /// more. Null: a signal came.
    const std::string* Serve(int in, int out)
    {
        while (true)
        {
            size_t end = m_read.find('\n', m_looked);
            if (end == std::string::npos)
            {
                m_looked = m_read.size();
                char room[65536];
                ssize_t got = read(in, room, sizeof room);
                if (got < 0 && errno == EINTR)
                {
                    return nullptr;
                }
                m_line.clear();
                if (got <= 0)
                {
                    return &m_line;
                }
                m_read.append(room, static_cast<size_t>(got));
                continue;
            }
            m_line.assign(m_read, 0, end);
            m_read.erase(0, end + 1);
            m_looked = 0;
            uint64_t seq;
            uint64_t until;
            if (!Read(seq, until))
            {
                return &m_line;
            }
            for (const Entry& entry : m_entries)
            {
                Enter(entry.id, entry.at, entry.size, *entry.way);
            }
            if (!Answer(out, seq, until))
            {
                m_line.clear();
                return &m_line;
            }
        }
    }

  private:
    /// What is left to read of a line.
    struct Rest
    {
        std::string_view text;

        bool Skip(std::string_view expected)
        {
            if (text.substr(0, expected.size()) != expected)
            {
                return false;
            }
            text.remove_prefix(expected.size());
            return true;
        }

        bool Number(std::string_view before, uint64_t& found)
        {
            if (!Skip(before))
            {
                return false;
            }
            auto read = std::from_chars(text.data(), text.data() + text.size(), found);
            text.remove_prefix(static_cast<size_t>(read.ptr - text.data()));
            return read.ec == std::errc();
        }

        /// A text without escapes, and the quotation mark behind it.
        bool Text(std::string_view before, std::string_view& found)
        {
            if (!Skip(before))
            {
                return false;
            }
            size_t end = text.find_first_of("\"\\");
            if (end == std::string_view::npos || text[end] == '\\')
            {
                return false;
            }
            found = text.substr(0, end);
            text.remove_prefix(end + 1);
            return true;
        }
    };

    /// Read the line into `m_entries`; whether it is one that is answered here.
    bool Read(uint64_t& seq, uint64_t& until)
    {
        m_entries.clear();
        Rest rest{m_line};
        if (!rest.Number("{\"type\":\"ADVANCE\",\"seq\":", seq) ||
            !rest.Number(",\"until\":", until) || !rest.Skip(",\"inputs\":["))
        {
            return false;
        }
        while (!rest.Skip("]}"))
        {
            Entry entry;
            std::string_view source;
            std::string_view destination;
            uint64_t sent;
            if ((!m_entries.empty() && !rest.Skip(",")) || !rest.Number("{\"at\":", entry.at) ||
                !rest.Text(",\"id\":\"", entry.id) || !rest.Text(",\"src\":\"", source) ||
                !rest.Text(",\"dst\":\"", destination) || !rest.Number(",\"size\":", entry.size) ||
                !rest.Number(",\"sent\":", sent) || !rest.Skip("}"))
            {
                return false;
            }
            m_key.assign(source).append(1, '"').append(destination);
            auto way = m_ways.find(m_key);
            if (way == m_ways.end())
            {
                return false;
            }
            entry.way = &way->second;
            m_entries.push_back(entry);
        }
        return rest.text.empty();
    }

    void Write(uint64_t number)
    {
        char digits[20];
        m_answer.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
    }

    bool WriteOut(int out)
    {
        std::string_view left = m_answer;
        while (!left.empty())
        {
            ssize_t sent = write(out, left.data(), left.size());
            if (sent < 0 && errno != EINTR)
            {
                return false;
            }
            left.remove_prefix(sent < 0 ? 0 : static_cast<size_t>(sent));
        }
        return true;
    }

    std::unordered_map<std::string, Way> m_ways; ///< by both names, a quotation mark between
    std::unordered_map<uint64_t, std::string> m_ids; ///< of messages under way
    uint64_t m_count = 0;
    std::string m_read; ///< what came and is not a line yet
    size_t m_looked = 0; ///< how much of it holds no newline
    std::string m_line;
    std::vector<Entry> m_entries;
    std::string m_key;
    std::string m_answer;
};

/// The one exchange of this process.
inline Exchange&
TheExchange()
{
    static Exchange exchange;
    return exchange;
}

} // namespace simcore

#endif
