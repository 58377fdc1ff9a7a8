// SPDX-License-Identifier: GPL-2.0-only
//
// ns-3 goes on, up to a time or to the first delivery.
#ifndef SIMCORE_NS3_ADVANCING_H
#define SIMCORE_NS3_ADVANCING_H

#include "messages.h"

namespace simcore
{

/// Go on to a time of ns-3 (ns, exclusive), whoever calls Simulator::Stop() before.
inline void
GoOn(uint64_t until)
{
    while (TheLedger().fence->RunUntil(until))
    {
    }
}

/// Go on to a virtual time (ns, exclusive), or to the end of the instant of the first delivery.
/// Where it came.
inline uint64_t
Advance(uint64_t until)
{
    Ledger& ledger = TheLedger();
    while (!ledger.Empty())
    {
        uint64_t deadline = ledger.Deadline();
        uint64_t bound = std::min(until, deadline);
        size_t known = ledger.outcomes.size();
        if (ledger.fence->RunUntil(bound + ledger.warmUp))
        {
            for (size_t i = known; i < ledger.outcomes.size(); i++)
            {
                if (ledger.outcomes[i].fate == DELIVERED)
                {
                    return ledger.Now();
                }
            }
        }
        else if (deadline < until)
        {
            ledger.GiveUp();
        }
        else
        {
            break;
        }
    }
    return until - 1;
}

/// When something happens next that a message may depend on (virtual ns), or NEVER.
inline uint64_t
NextEvent()
{
    Ledger& ledger = TheLedger();
    if (ledger.Empty())
    {
        return NEVER;
    }
    uint64_t next = ledger.fence->Next();
    next = next == NEVER ? NEVER : next - ledger.warmUp;
    return std::min(next, ledger.Deadline());
}

} // namespace simcore

#endif
