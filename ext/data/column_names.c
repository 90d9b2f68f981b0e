/* What a column is, if its name leaves no doubt: see column_names.h.
 *
 * The names are those of the commonest data sets (MovieLens, Amazon's reviews, Yelp, Last.fm, Book-Crossing, Goodreads,
 * Foursquare, RetailRocket, H&M, Netflix, Food.com, Steam, Online Retail) and of tables that applications and
 * object-relational mappers make (user_id, product_id, created_at). A word that often is something else is not among
 * them: value, count, date, id, name, title and text are in every table; an account, a client, a session, an author or
 * an event may be the user, the item or neither; "username" stands beside "user_id" as its text. A name that is missing
 * from this list costs little, since the position then decides. A name too many would make the extension refuse tables
 * that it could have understood. */
#include "column_names.h"

#include <string.h>

const char *const column_roles[COLUMN_ROLES] = {"user", "item", "rating", "timestamp"};

/* In small letters, without _, - and blanks; a blank at both ends of each. */
static const struct {
  ColumnRole role;
  const char *names;
} names[] = {
    {COLUMN_USER,
     " user userid useruuid userkey userno useridx uid customer customerid customeruuid customerkey customerno custid "
     "reviewer reviewerid rater raterid buyer buyerid purchaser purchaserid shopper shopperid consumerid member "
     "memberid subscriber subscriberid visitor visitorid viewer viewerid listener listenerid reader readerid person "
     "personid householdkey householdid "},
    {COLUMN_ITEM,
     " item itemid itemuuid itemkey itemno itemidx iid product productid prodid productuuid productkey "
     "productno productcode asin parentasin sku skuid stockcode isbn movie movieid film filmid showid anime "
     "animeid video videoid song songid track trackid artist artistid album albumid book bookid article articleid "
     "paperid documentid docid newsid postid photoid contentid business businessid restaurant restaurantid placeid "
     "venueid poiid hotelid listingid propertyid game gameid app appid recipe recipeid course courseid joke jokeid "
     "beer beerid wineid podcastid jobid offerid "},
    {COLUMN_RATING,
     " rating stars starrating overall overallrating score userrating userscore reviewrating reviewscore reviewstars "
     "reviewoverall bookrating movierating filmrating itemrating productrating animerating myrating yourrating "
     "ratingscore ratingvalue "},
    {COLUMN_TIME,
     " timestamp ts at time unixtime unixtimestamp unixreviewtime epoch epochseconds eventtime eventtimestamp "
     "createdat createdon createdtime creationtime createtime ratedat ratingtime ratingtimestamp reviewedat clickedat "
     "viewedat watchedat listenedat playedat readat boughtat purchasedat orderedat addedat likedat visitedat "
     "occurredat happenedat clicktime purchasetime ordertime "},
    {COLUMN_CHANGED,
     " updatedat updatedon modifiedat modifiedon lastmodified lastupdated deletedat syncedat reviewtime reviewdate "
     "ratingdate orderdate purchasedate invoicedate "},
};

enum { LONGEST = 30 }; /* no name is longer */

static char small_letter(char c) { return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); }

ColumnRole column_role(const char *name) {
  char plain[LONGEST + 3] = " ";
  size_t length = 1;
  if (column_is_expression(name, 1)) return COLUMN_NONE;
  for (const char *c = name; *c; c++) {
    if (*c == '_' || *c == '-' || *c == ' ') continue;
    if (length > LONGEST) return COLUMN_NONE;
    plain[length++] = small_letter(*c);
  }
  plain[length++] = ' ';
  plain[length] = 0;
  for (size_t i = 0; length > 2 && i < sizeof names / sizeof *names; i++)
    if (strstr(names[i].names, plain)) return names[i].role;
  return COLUMN_NONE;
}

int column_is_expression(const char *name, int declared) {
  if (strpbrk(name, "()[]{}*/+|&<>=!~%'\"`,;:?@#") || (*name >= '0' && *name <= '9')) return 1;
  return *name == '-' || (!declared && strpbrk(name, " -\t\n"));
}
