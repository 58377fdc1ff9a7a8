// SPDX-License-Identifier: GPL-2.0-only
//
// Defaults of ns-3's attributes, and what is wrong with those that cannot be set.
#ifndef SIMCORE_NS3_DEFAULTS_H
#define SIMCORE_NS3_DEFAULTS_H

#include "ns3/core-module.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

namespace simcore
{

/// How many letters one text has to be changed in to become another (Levenshtein 1966).
inline size_t
Changes(const std::string& one, const std::string& other)
{
    std::vector<size_t> row(other.size() + 1);
    std::iota(row.begin(), row.end(), 0);
    for (size_t i = 0; i < one.size(); i++)
    {
        size_t before = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < other.size(); j++)
        {
            size_t replaced = before + (one[i] != other[j]);
            before = row[j + 1];
            row[j + 1] = std::min({replaced, before + 1, row[j] + 1});
        }
    }
    return row.back();
}

/// The name that was probably meant, for a message; empty if none is like it.
inline std::string
Meant(const std::string& written, const std::vector<std::string>& names)
{
    const std::string* best = nullptr;
    size_t least = written.size() / 4 + 1; // one letter in four may be wrong, and one
    for (const std::string& name : names)
    {
        if (size_t changes = Changes(written, name); changes <= least && (!best || changes < least))
        {
            best = &name;
            least = changes;
        }
    }
    return best ? " (did you mean '" + *best + "'?)" : "";
}

/// Why the default of an attribute cannot be set; empty if it was.
inline std::string
DefaultProblem(const std::string& full, const std::string& text)
{
    size_t split = full.rfind("::");
    std::string wanted = full.substr(0, split == std::string::npos ? 0 : split);
    ns3::TypeId type;
    if (!ns3::TypeId::LookupByNameFailSafe(wanted, &type))
    {
        std::vector<std::string> names;
        for (uint16_t i = 0; i < ns3::TypeId::GetRegisteredN(); i++)
        {
            names.push_back(ns3::TypeId::GetRegistered(i).GetName());
        }
        return "ns-3 has no class " + wanted + Meant(wanted, names);
    }
    std::string name = full.substr(split + 2);
    std::vector<std::string> names;
    for (uint32_t i = 0; i < type.GetAttributeN(); i++)
    {
        ns3::TypeId::AttributeInformation found = type.GetAttribute(i);
        names.push_back(found.name);
        if (found.name != name)
        {
            continue;
        }
        auto value = found.checker->Create();
        if (!value->DeserializeFromString(text, found.checker) || !found.checker->Check(*value))
        {
            return full + ": '" + text + "' is no " + found.checker->GetValueTypeName() +
                   " that it takes" +
                   (found.checker->HasUnderlyingTypeInformation()
                        ? " (" + found.checker->GetUnderlyingTypeInformation() + ")"
                        : "");
        }
        ns3::Config::SetDefault(full, *value);
        return "";
    }
    std::string problem = type.GetName() + " has no attribute " + name;
    for (ns3::TypeId each = type; each.HasParent();)
    {
        each = each.GetParent(); // ns-3 keeps defaults by the class that declares them
        for (uint32_t i = 0; i < each.GetAttributeN(); i++)
        {
            if (each.GetAttribute(i).name == name)
            {
                return problem + " of its own: write " + each.GetName() + "::" + name;
            }
        }
    }
    return problem + Meant(name, names);
}

} // namespace simcore

#endif
