"""What the training voices say: sentences of our own, in five languages. The last ones of each are held out."""

ENGLISH = """
Good morning, my name does not matter, but I am happy to meet you.
Maybe we should bring the puppy home before the rain begins.
Five brave foxes followed the farmer over the frozen river.
Please put the big blue box beside the piano in the back room.
She sells fresh peaches and cherries at the market every Thursday.
The weather was warm, the water was clear, and we swam for an hour.
Could you show me how to open the window without waking the baby?
My mother makes a marvellous mushroom soup with pepper and parsley.
Few people believe that a bumblebee can remember a human face.
Yesterday evening the moon rose slowly over the old stone bridge.
Thank you very much for calling, we will be with you in a moment.
Your appointment is on Monday, the fourteenth of May, at a quarter past three.
Why would anybody want to walk all the way to the village at night?
The children laughed and jumped and shouted until they fell asleep.
A small wooden boat moved quietly across the smooth grey lake.
Press the green button twice, wait for the beep, then speak.
Zebras, giraffes and elephants gather at the pool when the sun goes down.
Oh no, I forgot to buy bread, butter and a bottle of apple juice!
Every valve in this engine was checked by hand, one after another.
Both brothers thought that the third path was smoother than the others.
We use a hundred litres of hot water, mostly for the showers upstairs.
How many photographs of the volcano did you have to throw away?
Push the door, turn left, and you will find the library on your right.
The judge asked the witness to describe the yellow jacket once more.
Paper, pepper, poppy, baby, bubble, mama, memory, remember.
Bees buzz, bells ring, babies babble, and birds begin to sing.
I would rather go home now, because tomorrow will be a long day.
One, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve.
Our town has two museums, a theatre, four schools and no airport.
If the pump stops, open the upper valve and empty the tank by hand.
Who knew that blue whales hum tunes as low as a church organ?
Look at the map: the path bends here, and the bridge must be behind that hill.
The chef chopped garlic, ginger, chillies and a huge bunch of fresh herbs.
It is easy to see these green leaves, even in the deep evening shade.
Father parked the car far from the large barn, as he always does.
Nobody noticed the noise, but the old clock had stopped at noon.
""".strip().splitlines()

ENGLISH_HELD_OUT = """
Welcome aboard, everybody; please make sure that your bags are below the seats.
The museum opens at half past nine, and visitors may borrow a map for free.
Grandpa bought a pair of brown boots, but forgot them on the bus.
Why do wolves howl at the moon when the whole valley is asleep?
Fresh fish, green beans and a cup of jasmine tea, that is all I need.
I hope the problem can be solved before the meeting on Wednesday.
""".strip().splitlines()

GERMAN = """
Guten Morgen, schön, dass Sie heute zu uns gekommen sind.
Der Bäcker am Marktplatz verkauft die besten Brötchen der ganzen Stadt.
Bitte machen Sie die Tür zu, es wird sonst zu kalt im Zimmer.
Fünf Freunde fuhren mit dem Fahrrad über die Brücke zum Fluss.
Wir müssen morgen früh aufstehen, weil der Zug schon um sieben abfährt.
Meine Mutter mag Blumen, mein Bruder mag lieber bunte Bilder.
Die Sonne scheint, der Himmel ist blau, und die Vögel singen.
Können Sie mir sagen, wo ich hier einen guten Kaffee bekomme?
Im Garten hinter dem Haus wachsen Äpfel, Birnen und Pflaumen.
Papa probiert einen Pullover an, aber er passt ihm überhaupt nicht.
Zwölf Boxkämpfer jagen quer durch den großen Park am Hafen.
Das Museum öffnet erst um zehn, also bleibt uns noch viel Zeit.
Vielen Dank für Ihren Anruf, wir melden uns so bald wie möglich.
Ein leiser Wind bewegte die Blätter der alten Bäume am Ufer.
""".strip().splitlines()

GERMAN_HELD_OUT = """
Am Bahnhof wartet meine Familie mit einem großen Blumenstrauß.
Probieren Sie bitte die Pfannkuchen mit Apfelmus, sie schmecken wunderbar.
""".strip().splitlines()

FRENCH = """
Bonjour et bienvenue, je suis ravie de vous rencontrer aujourd'hui.
Mon petit frère mange une pomme verte au bord de la rivière.
Pouvez-vous me montrer le chemin jusqu'à la bibliothèque ?
Il fait beau ce matin, le ciel est bleu et les oiseaux chantent.
Nous avons acheté du pain, du beurre, du fromage et une bouteille d'eau.
Ma voisine promène son chien blanc tous les soirs après le dîner.
Le vieux bateau bouge doucement sur l'eau calme du port.
Appuyez sur le bouton rouge, puis attendez quelques secondes.
Beaucoup de gens préfèrent voyager en train plutôt qu'en avion.
Papa prépare une bonne soupe aux champignons pour toute la famille.
Où avez-vous mis le vase que ma mère m'avait offert ?
La lune brille au-dessus des montagnes et tout le village dort.
""".strip().splitlines()

FRENCH_HELD_OUT = """
Le boulanger du village prépare des brioches chaudes chaque dimanche.
Vous pouvez venir me voir demain, vers midi, si vous avez le temps.
""".strip().splitlines()

SPANISH = """
Buenos días, bienvenidos a nuestra casa, pasen por favor.
Mi abuela prepara una sopa de pollo muy buena todos los domingos.
El pequeño barco blanco se mueve despacio sobre el agua tranquila.
Por favor, ponga los platos limpios encima de la mesa grande.
Mañana vamos a comprar pan, manzanas y una botella de vino.
¿Puede decirme dónde está la biblioteca más cercana?
Los niños juegan en el parque mientras sus padres hablan.
Un hombre mayor compró un sombrero azul en el mercado.
Hace mucho calor, así que abrimos todas las ventanas.
Siempre pensamos que el camino del bosque era más bonito.
El tren sale a las cinco y media, no llegues tarde.
Mamá me mandó un mapa para no perderme en el pueblo.
""".strip().splitlines()

SPANISH_HELD_OUT = """
Muchas gracias por llamar, le atenderemos en un momento.
Pablo y su primo bebieron agua fresca bajo un árbol enorme.
""".strip().splitlines()

ITALIAN = """
Buongiorno a tutti, mi fa molto piacere essere qui con voi.
Il bambino mangia una mela rossa seduto sotto il vecchio albero.
Potrebbe dirmi dove si trova la biblioteca comunale, per favore?
Domani mattina prendiamo il primo treno per andare al mare.
La mamma prepara una buona minestra con funghi e pomodori.
Il gatto nero dorme tranquillo sopra il divano blu.
Premete il pulsante verde e aspettate qualche secondo.
Le montagne sono coperte di neve e il lago sembra uno specchio.
Ho comprato pane, burro, formaggio e due bottiglie di acqua.
Nessuno sapeva che il ponte fosse stato chiuso ieri sera.
""".strip().splitlines()

ITALIAN_HELD_OUT = """
Il museo apre alle nove e mezza e rimane aperto fino a sera.
Papà ha portato a casa una bella torta con panna e lamponi.
""".strip().splitlines()

TRAIN = {
    ("en-us", "en", "en-gb-scotland", "en-us"): ENGLISH,
    ("de",): GERMAN,
    ("fr",): FRENCH,
    ("es", "es-419"): SPANISH,
    ("it",): ITALIAN,
}
HELD_OUT = {
    ("en-us", "en-gb-x-rp"): ENGLISH_HELD_OUT,
    ("de",): GERMAN_HELD_OUT,
    ("fr",): FRENCH_HELD_OUT,
    ("es",): SPANISH_HELD_OUT,
    ("it",): ITALIAN_HELD_OUT,
}
# espeak-ng's voice variants: '' is the language's own voice
TRAIN_VARIANTS = ["", "m1", "m2", "m3", "m5", "m7", "f1", "f2", "f3", "f5", "Andy", "Alicia", "Gene", "Hugo", "Lee",
                  "Marco", "Mario", "Michael", "anika", "belinda", "ed", "linda", "quincy", "steph", "klatt2", "klatt4",
                  "victor", "edward", "adam", "boris", "aunty", "john", "norbert", "pablo", "zac", "steph2"]
HELD_OUT_VARIANTS = ["m4", "m6", "f4", "Annie", "Denis", "shelby", "klatt3", "max"]
# spoken by the shipped WAV (avatars/demo/sentence.wav); also held out
SENTENCE = "Hello! I am a drawing, and my voice comes from a machine. My lips follow every word, even pepper, bubble and mama."
